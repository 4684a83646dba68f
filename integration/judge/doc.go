// Package judge judges what a reader found in the lake: against the source's rows at the
// same position, against what the reader found before, and against sums that no transaction
// changes. It reads nothing itself and shares no code with cdcd, so that it cannot be wrong
// in the way in which cdcd is. It can tell these apart, and its tests show each one found:
// a row that is missing, a row too many, a row twice, a row of an older state, money that
// appears or vanishes.
//
// Rows are text: each cell in a canonical form in which equal values of both sides have equal
// bytes. Bringing them into that form is the caller's part.
package judge
