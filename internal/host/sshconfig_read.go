package host

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	sshconfig "github.com/kevinburke/ssh_config"

	"github.com/regctl/regctl/internal/fault"
)

// configText is one ssh_config(5) with what it includes put in its place and its
// Match blocks left out.
type configText struct {
	home string
	out  bytes.Buffer
	// beyond are the places of what this reading cannot tell: Match blocks, and
	// Host lines of files that are included within a Host block.
	beyond []string
	line   string // the Host line that holds now
}

// readConfig reads a configuration file, nil if there is none.
func readConfig(path, home string) (*sshconfig.Config, []string, error) {
	c := &configText{home: home, line: "Host *"}
	if err := c.add(path, 0); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, nil
		}
		return nil, nil, err
	}
	parsed, err := sshconfig.DecodeBytes(c.out.Bytes())
	if err != nil {
		return nil, nil, fault.Usage("mend it, or name another with --ssh-config", "%s: %w", path, err)
	}
	return parsed, c.beyond, nil
}

func (c *configText) add(path string, depth int) error {
	if depth > 16 {
		return fault.Usage("", "%s: includes are nested too deep", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	outer, skip := c.line, false
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		key, value := directive(lines.Text())
		place := fmt.Sprintf("%s:%d", path, n)
		switch key {
		case "host":
			c.line, skip = "Host "+value, false
			if outer != "Host *" {
				c.beyond = append(c.beyond, place)
			}
			fmt.Fprintln(&c.out, c.line)
		case "match":
			c.beyond = append(c.beyond, place)
			skip = true
		case "include":
			if skip {
				continue
			}
			if err := c.include(value, path, depth); err != nil {
				return err
			}
		default:
			if !skip && key != "" {
				fmt.Fprintln(&c.out, lines.Text())
			}
		}
	}
	c.line = outer
	fmt.Fprintln(&c.out, outer)
	return lines.Err()
}

// include adds the files of an Include line. Those that are relative lie beside the
// file of their kind: ~/.ssh for a user's, /etc/ssh for the machine's.
func (c *configText) include(value, from string, depth int) error {
	for _, pattern := range strings.Fields(value) {
		pattern = expandHome(strings.Trim(pattern, `"`), c.home)
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(from), pattern)
		}
		files, err := filepath.Glob(pattern)
		if err != nil {
			return fault.Usage("", "%s: Include %s: %w", from, pattern, err)
		}
		slices.Sort(files)
		for _, file := range files {
			// What cannot be read is passed over, as ssh does.
			if err := c.add(file, depth+1); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// directive splits a line into its keyword, in lower case, and the rest.
func directive(line string) (key, value string) {
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return "", ""
	}
	i := strings.IndexAny(line, " \t=")
	if i < 0 {
		return strings.ToLower(line), ""
	}
	return strings.ToLower(line[:i]), strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line[i:]), "="))
}

func expandHome(path, home string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(home, rest)
	}
	return path
}
