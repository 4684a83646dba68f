// Package nursery starts children that die with the process that started them, whatever
// becomes of it: the kernel kills a child when the thread that started it ends, so all are
// started on one thread that never does.
package nursery
