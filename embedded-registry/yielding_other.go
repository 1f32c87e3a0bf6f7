//go:build !linux

package embeddedregistry

// beNice does nothing: elsewhere niceness is of a whole process.
func beNice() {}
