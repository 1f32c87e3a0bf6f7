// Package proxytest starts real proxies for tests, each with a configuration tree of
// its own, laid out as Debian has it. Nothing of the machine's own is touched.
package proxytest
