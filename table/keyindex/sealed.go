package keyindex

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
)

// sealed is a JSON document with its checksum.
type sealed struct {
	Sum  uint32          `json:"crc32c"`
	Body json.RawMessage `json:"index"`
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// writeSealed replaces a file by a document, as a whole or not at all as long as the system
// stays up. What a crash of the system tears is found by its checksum.
func writeSealed(path string, body any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	b, err := json.Marshal(sealed{Sum: crc32.Checksum(raw, castagnoli()), Body: raw})
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// readSealed reads what writeSealed wrote.
func readSealed(path string, body any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var s sealed
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%w: %s: %w", errDamaged, path, err)
	}
	if s.Sum != crc32.Checksum(s.Body, castagnoli()) {
		return fmt.Errorf("%w: %s: wrong checksum", errDamaged, path)
	}
	if err := json.Unmarshal(s.Body, body); err != nil {
		return fmt.Errorf("%w: %s: %w", errDamaged, path, err)
	}
	return nil
}
