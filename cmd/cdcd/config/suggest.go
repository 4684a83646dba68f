package config

import "strings"

// maxSuggestLen bounds the keys for which a near one is looked for, for the cost is the
// product of the lengths.
const maxSuggestLen = 64

// suggestion says which key may have been meant: the nearest, or any of those there are.
func suggestion(key string, fields []field) string {
	best, bestDistance := "", 2+len(key)/4
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.key
		if len(key) > maxSuggestLen {
			continue
		}
		if n := distance(strings.ToLower(key), f.key); n < bestDistance {
			best, bestDistance = f.key, n
		}
	}
	if best == "" {
		return "the keys here are " + strings.Join(names, ", ")
	}
	return "did you mean " + best + "?"
}

// distance is the number of insertions, deletions, replacements and swaps of neighbours that
// make b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(replace, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
