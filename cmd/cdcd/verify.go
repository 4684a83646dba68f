package main

// verifyCmd is cdcd verify.
type verifyCmd struct{}

// Run compares.
func (v *verifyCmd) Run() error { return nil }
