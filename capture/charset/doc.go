// Package charset reads text of the character sets that MySQL and MariaDB know, UTF-8 left out.
//
// A code becomes the character that both servers convert it to, and a code that they have no
// character for is none here either, so that nothing is guessed. The files in tables hold what
// the servers said: a test of package integration asks both of them about every code, and
// writes the files where it is run with -update. Tables of other libraries differ: what the
// web calls GBK, Big5 or Shift_JIS has other codes than the servers' sets.
//
// A table is a number of segments, sixteen bits, and the segments in the order of their codes:
// the first code, the number of codes, and where their characters are, thirty-two bits each.
// With the highest bit of the last set they follow one another from the character in its other
// bits; else they stand there among the units of sixteen bits behind the segments, noCharacter
// for a code that has none. All numbers are big-endian. No code begins another.
package charset
