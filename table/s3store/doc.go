// Package s3store keeps the lake's objects in S3, or in what speaks its protocol.
//
// # Invariants
//
// Every write is conditional: on the absence of the object, or on its tag. Where the answer
// to a write is lost, the write is tried again, and a condition that then does not hold is
// no proof that another has won. The object carries a token of the write that made it, which
// settles that.
//
// The server checks a checksum of what it gets before it answers, and the answer repeats it.
// So nothing is asked about an object that was just written, and nothing before it is read:
// the first read tells its size.
//
// A call ends: every attempt has a bound that grows with the bytes it moves, and all attempts
// together have three times that.
//
// What is written as a stream and is larger than one part shows only once it is complete. A
// crash may leave parts behind, which no listing shows and every bucket should be told to
// expire (AbortIncompleteMultipartUpload).
//
// Credentials come from the chain of the AWS SDK, or from a [Vendor]. Each attempt is signed
// with those that are in force when it begins. Where the store refuses some, others are asked
// for once a call: a request that was refused has done nothing, so this does not count as an
// attempt that may have done its work. Nothing is logged.
package s3store
