package statement

import (
	"strings"
	"testing"
)

func BenchmarkScan(b *testing.B) {
	alter := "ALTER TABLE `shop`.`orders` /* migration 17 */ ADD COLUMN `state` ENUM('new','paid','sent') NOT NULL DEFAULT 'new'" +
		" COMMENT 'it''s', ADD total DECIMAL(12,2) AS (price * amount) STORED," +
		" MODIFY note VARCHAR(500) CHARACTER SET utf8mb4, ADD KEY k (`state`, total), ALGORITHM=INPLACE"
	alter += strings.Repeat(" ", 300-len(alter))
	for _, c := range []struct{ name, sql string }{
		{"Begin", "BEGIN"}, {"Commit", "COMMIT"}, {"Alter300", alter},
	} {
		b.Run(c.name, func(b *testing.B) {
			sql, o := []byte(c.sql), mysql()
			b.SetBytes(int64(len(sql)))
			b.ReportAllocs()
			for b.Loop() {
				if !Scan(sql, o).Certain {
					b.Fatal("not understood")
				}
			}
		})
	}
}

func TestBeginAndCommitDoNotAllocate(t *testing.T) {
	for _, text := range []string{"BEGIN", "COMMIT"} {
		sql, o := []byte(text), mysql()
		if n := testing.AllocsPerRun(100, func() { Scan(sql, o) }); n != 0 {
			t.Errorf("Scan(%q) allocates %v times", text, n)
		}
	}
}
