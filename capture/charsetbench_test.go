package capture

import (
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
)

// BenchmarkTranscode reads texts of two lengths: a byte costs the same in both, also where the
// bytes below 128 are no characters of their own.
func BenchmarkTranscode(b *testing.B) {
	for name, text := range map[string]string{
		"latin1": "text, mostly of ASCII, h\xe9", "utf16": "\x00t\x00e\x00x\x00t", "swe7": "text", "gbk": "\xd6\xd0\xce\xc4 text",
	} {
		for _, size := range []int{1 << 10, 1 << 16} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				src := []byte(strings.Repeat(text, size/len(text)))
				read, dst := textDecoder(name), growable{mem: memory.DefaultAllocator}
				b.SetBytes(int64(len(src)))
				for b.Loop() {
					dst.b = dst.b[:0]
					if err := read(&dst, src); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
