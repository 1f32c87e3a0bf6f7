package proxy

import (
	"errors"

	"github.com/regctl/regctl/internal/step"
)

func renderApache(server Server, site Site, pem string) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

func moduleSteps(server Server, site Site) []step.Step { return nil }
