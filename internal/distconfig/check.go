package distconfig

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/distribution/distribution/v3/configuration"

	"github.com/regctl/regctl/internal/fault"
)

// Check reports, as a usage fault, why the registry program f would refuse a
// rendered config.yml or ignore part of it. Neither REGISTRY_* variables nor
// files named in it are looked at.
func Check(rendered []byte, f Flavour) error {
	problems := examine(rendered, f)
	if len(problems) == 0 {
		return nil
	}
	var lines []string
	for _, p := range problems {
		_, withoutLine, _ := strings.Cut(p.String(), ": ")
		lines = append(lines, withoutLine)
	}
	return fault.Usage("mend config: or storage.options in regctl.yaml, or the --set or --storage-opt that put it there",
		"config.yml: %s", strings.Join(lines, "; "))
}

// noEnvironment is a prefix that no variable's name can have, for
// configuration.Parse would let REGISTRY_* override what the file says.
const noEnvironment = "="

// parse is configuration.Parse without its look at the environment.
func parse(data []byte) (config *configuration.Configuration, err error) {
	defer func() { // Storage.Type panics on two drivers
		if r := recover(); r != nil {
			config, err = nil, fmt.Errorf("%v", r)
		}
	}()
	parser := configuration.NewParser(noEnvironment, []configuration.VersionedParseInfo{{
		Version:        configuration.CurrentVersion,
		ParseAs:        reflect.TypeFor[configuration.Configuration](),
		ConversionFunc: func(c any) (any, error) { return c, nil },
	}})
	config = new(configuration.Configuration)
	if err := parser.Parse(data, config); err != nil {
		return nil, err
	}
	// What configuration.Parse's own conversion refuses.
	if config.Tags.MaxTags < 0 {
		return nil, errors.New("tags.maxtags must not be negative")
	}
	if config.Storage.Type() == "" {
		return nil, errors.New("no storage driver is given")
	}
	return config, nil
}
