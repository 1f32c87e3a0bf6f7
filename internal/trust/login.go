package trust

import (
	"encoding/base64"

	"github.com/regctl/regctl/internal/secret"
)

// Login is what docker login is told.
type Login struct {
	User     string
	Password secret.String
}

func (l Login) auth() string {
	return base64.StdEncoding.EncodeToString([]byte(l.User + ":" + l.Password.Reveal()))
}
