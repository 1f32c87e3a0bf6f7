// Package templates holds every file that regctl renders. It is a package
// because go:embed cannot reach into a parent folder.
package templates

import "embed"

// FS has one NAME.tmpl for each rendered file, in text/template's language; those
// of the trust kit, which are full of braces of their own, have @NAME@ instead.
//
//go:embed *.tmpl
var FS embed.FS
