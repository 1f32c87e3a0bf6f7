// Package conformance holds no code: its test runs the OCI distribution-spec
// suite against the embedded registry and against distribution's own, and keeps
// the list of what fails in docs/conformance.md.
package conformance
