package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/regctl/regctl/internal/fault"
)

// neverSet are flags that only a command line can give: they change what a
// command is, not how it works.
var neverSet = []string{"help", "version"}

// onlyTyped marks a flag that has the name of one of init's and means another thing:
// REGCTL_PORT is the registry's port and must not become that of SSH.
const onlyTyped = "regctl_only_typed"

// settleFlags fills in each flag that the command line does not give from the
// environment (REGCTL_<FLAG>), then from the configuration files.
func (a *app) settleFlags(cmd *cobra.Command) error {
	files, err := a.settingsFiles(cmd.Root())
	if err != nil {
		return err
	}
	var problem error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if problem != nil || slices.Contains(neverSet, f.Name) {
			return
		}
		if f.Changed {
			problem = notEmpty(cmd, f)
			return
		}
		if f.Annotations[onlyTyped] != nil {
			return
		}
		env := envName(f.Name)
		if value := a.getenv(env); value != "" {
			problem = setFlag(cmd, f, env, []string{value})
			return
		}
		for _, file := range files {
			if file.settings.IsSet(f.Name) {
				problem = setFlag(cmd, f, file.path, stringsOf(file.settings.Get(f.Name)))
				return
			}
		}
	})
	return problem
}

// notEmpty refuses a flag without a value, which mostly is a shell's variable
// that is not set: destroy --dir "$D" must not destroy another registry.
func notEmpty(cmd *cobra.Command, f *pflag.Flag) error {
	list, ok := f.Value.(pflag.SliceValue)
	if f.Value.String() != "" && (!ok || len(list.GetSlice()) > 0) {
		return nil
	}
	return fault.Usage(fmt.Sprintf("give it one, or leave it out; %s --help says what it takes", cmd.CommandPath()), "--%s has an empty value", f.Name)
}

func envName(flag string) string {
	return "REGCTL_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func setFlag(cmd *cobra.Command, f *pflag.Flag, source string, values []string) error {
	for _, value := range values {
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			return fault.Usage(fmt.Sprintf("%s --help says what --%s takes", cmd.CommandPath(), f.Name),
				"%s: --%s cannot be %q", source, f.Name, value)
		}
	}
	return nil
}

func stringsOf(v any) []string {
	list, ok := v.([]any)
	if !ok {
		return []string{fmt.Sprint(v)}
	}
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = fmt.Sprint(e)
	}
	return out
}

// settingsFile is one configuration file: flags by their names.
type settingsFile struct {
	path     string
	settings *viper.Viper
}

// settingsFiles loads the user's configuration file and the machine's, in the
// order in which they win. Either may be absent.
func (a *app) settingsFiles(root *cobra.Command) ([]settingsFile, error) {
	var files []settingsFile
	for _, path := range a.settingsPaths() {
		v := viper.New()
		v.SetConfigFile(path)
		err := v.ReadInConfig()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, unreadableSettings(path, err)
		}
		if err := checkKeys(path, v, root); err != nil {
			return nil, err
		}
		files = append(files, settingsFile{path, v})
	}
	return files, nil
}

// unreadableSettings says in one line what viper says in several.
func unreadableSettings(path string, err error) error {
	var perr *fs.PathError
	if errors.As(err, &perr) {
		return fault.Fail("mend or remove that file", "%s: %w", path, perr.Err)
	}
	why := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "While parsing config: "), "yaml: ")
	if strings.Contains(why, "cannot unmarshal") {
		why = "no flags and values"
	}
	return fault.Usage("mend or remove that file; it holds flags and their values, such as tls: none",
		"%s: not what a settings file looks like: %s", path, why)
}

func (a *app) settingsPaths() []string {
	var paths []string
	config := a.getenv("XDG_CONFIG_HOME")
	if home := a.getenv("HOME"); config == "" && home != "" {
		config = filepath.Join(home, ".config")
	}
	if filepath.IsAbs(config) {
		paths = append(paths, filepath.Join(config, "regctl", "config.yaml"))
	}
	if runtime.GOOS != "windows" {
		paths = append(paths, string(os.PathSeparator)+filepath.Join("etc", "regctl", "config.yaml"))
	}
	return paths
}

// checkKeys refuses a key that is no flag of any command.
func checkKeys(path string, v *viper.Viper, root *cobra.Command) error {
	known := map[string]bool{}
	collectFlags(root, known)
	for _, key := range v.AllKeys() {
		if known[key] {
			continue
		}
		hint := "settings are flags by their names, such as tls or port; regctl init --help lists most"
		if near := nearest(key, known); near != "" {
			hint = "did you mean " + near + "?"
		}
		return fault.Usage(hint, "%s: unknown setting %s", path, key)
	}
	return nil
}

func collectFlags(cmd *cobra.Command, into map[string]bool) {
	add := func(f *pflag.Flag) { into[f.Name] = true }
	cmd.Flags().VisitAll(add)
	cmd.PersistentFlags().VisitAll(add)
	for _, sub := range cmd.Commands() {
		collectFlags(sub, into)
	}
}

// nearest is the flag that was probably meant, "" where none is near enough: who
// types --bogus must not be led to --yes.
func nearest(key string, known map[string]bool) string {
	best, distance := "", max(2, len(key)/3)+1
	for k, offered := range known {
		if !offered {
			continue
		}
		if d := levenshtein.ComputeDistance(key, k); d < distance || d == distance && k < best {
			best, distance = k, d
		}
	}
	return best
}
