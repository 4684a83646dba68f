// Package indexbench compares the key index with a general store, on the same work. It is a
// module of its own, so that the daemon does not depend on what it is compared with.
package indexbench
