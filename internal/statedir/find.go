package statedir

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/spec"
)

// Find says which registry's directory a command means, whether it exists yet or
// not. dirFlag names it outright, else REGCTL_DIR in the environment, else name
// under Root. Empty dirFlag and name mean that they were not given: then it is the
// one called spec.DefaultName, or the only one there is. With several and none
// of that name the error is the user's to mend.
func Find(dirFlag, name string, env func(string) string, euid int) (Dir, error) {
	return find(dirFlag, name, true, env, euid)
}

// FindNew is Find for a command that makes a registry: without dirFlag and name it
// is the one called spec.DefaultName, whatever others there are.
func FindNew(dirFlag, name string, env func(string) string, euid int) (Dir, error) {
	return find(dirFlag, name, false, env, euid)
}

func find(dirFlag, name string, search bool, env func(string) string, euid int) (Dir, error) {
	if dirFlag == "" {
		dirFlag = env("REGCTL_DIR")
	}
	if dirFlag != "" {
		path, err := filepath.Abs(dirFlag)
		return Dir(path), err
	}
	root, err := Root(env, euid)
	if err != nil {
		return "", err
	}
	if name != "" {
		if !validName.MatchString(name) {
			return "", fault.Usage("a name has letters, digits, dots, dashes and underscores, and starts with a letter or digit",
				"%q is no name for a registry", name)
		}
		return Dir(filepath.Join(root, name)), nil
	}
	preset := Dir(filepath.Join(root, spec.DefaultName))
	if !search {
		return preset, nil
	}
	names := registries(root)
	switch {
	case len(names) == 0, slices.Contains(names, spec.DefaultName):
		return preset, nil
	case len(names) == 1:
		return Dir(filepath.Join(root, names[0])), nil
	}
	return "", fault.Usage("say which one with --name", "there are several registries: %s", strings.Join(names, ", "))
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// Root is where registries live that are named, not placed: /var/lib/regctl for
// root, else regctl under the user's data home (XDG Base Directory
// Specification). It never reads REGCTL_CONFIG, which is another tool's.
func Root(env func(string) string, euid int) (string, error) {
	if euid == 0 {
		return "/var/lib/regctl", nil
	}
	if data := env("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "regctl"), nil
	}
	home := env("HOME")
	if home == "" {
		var err error
		if home, err = os.UserHomeDir(); err != nil {
			return "", fault.Usage("set HOME, or name the directory with --dir", "no place for the registry: %w", err)
		}
	}
	return filepath.Join(home, ".local", "share", "regctl"), nil
}

// registries lists the names of those under root, in order.
func registries(root string) []string {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil // none that we could work on
	}
	var names []string
	for _, e := range entries {
		class, err := Classify(Dir(filepath.Join(root, e.Name())))
		if err == nil && (class.Kind == Ours || class.Kind == Kept) && validName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}
