// Package tabletest holds the tests that every implementation of what tables rest on has to
// pass: [TestStore] those of a place for objects, [TestCatalog] those of a catalog. Real ones
// run them in the integration tests, and so does every fake that other tests use in their
// stead.
package tabletest
