package capture

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/google/uuid"
)

// The types of MariaDB that are stored as BINARY of a fixed size and printed as text.
const (
	uuidBytes  = 16
	inet4Bytes = 4
	inet6Bytes = 16
)

// printedDecoder reads a value of a fixed size, of which the log strips trailing zeros, and
// renders it as the server prints it.
func printedDecoder(c Column, s span) (decoder, span, error) {
	var size int
	var render func(dst, stored []byte) []byte
	switch c.Type {
	case TypeUUID:
		size, render = uuidBytes, appendUUID
	case TypeInet4:
		size, render = inet4Bytes, appendInet4
	case TypeInet6:
		size, render = inet6Bytes, appendInet6
	}
	var stored, text [64]byte
	return func(v *vector, b []byte) (int, error) {
		data, n, err := s.content(b)
		if err != nil {
			return 0, err
		}
		if len(data) > size {
			return n, fmt.Errorf("%s of %d bytes", c.Type, len(data))
		}
		clear(stored[copy(stored[:], data):])
		v.data.appendBytes(render(text[:0], stored[:size]))
		return n, nil
	}, s, nil
}

func appendUUID(dst, b []byte) []byte {
	text := uuid.UUID(b).String()
	return append(dst, text...)
}

func appendInet4(dst, b []byte) []byte { return netip.AddrFrom4([inet4Bytes]byte(b)).AppendTo(dst) }

// appendInet6 renders an address as MariaDB does: the longest run of zero words, the first of
// several and also a single one, becomes "::", and an address that holds one of IPv4 behind
// six zero words, or five and ffff, ends with that.
func appendInet6(dst, b []byte) []byte {
	const words = inet6Bytes / 2
	word := func(i int) uint64 { return uint64(b[2*i])<<8 | uint64(b[2*i+1]) }
	at, zeros := longestZeros(word, words)
	for i := 0; i < words; i++ {
		switch {
		case i == at:
			if i == 0 {
				dst = append(dst, ':')
			}
			dst = append(dst, ':')
			i += zeros - 1
		case i == words-2 && at == 0 && (zeros == 6 || zeros == 5 && word(5) == 0xffff):
			return appendInet4(dst, b[inet6Bytes-inet4Bytes:])
		default:
			dst = strconv.AppendUint(dst, word(i), 16)
			if i+1 < words {
				dst = append(dst, ':')
			}
		}
	}
	return dst
}

// longestZeros finds the first of the longest runs of zero words, at -1 where there is none.
func longestZeros(word func(int) uint64, words int) (at, n int) {
	at = -1
	for i := 0; i < words; i++ {
		run := 0
		for i+run < words && word(i+run) == 0 {
			run++
		}
		if run > n {
			at, n = i, run
		}
		i += run
	}
	return at, n
}
