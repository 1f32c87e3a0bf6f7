package fleet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// ReadFile lists the hosts that a file names, as Expand does: on lines of their own
// or with commas between; what follows a # at the start of a line or after a space is
// a comment. "-" means stdin. Faults name the line.
func ReadFile(path string, stdin io.Reader) ([]string, error) {
	name := path
	if path == "-" {
		name = "stdin"
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, fault.Usage("give the file's path, or - for stdin", "%w", err)
		}
		defer f.Close()
		stdin = f
	}
	var c collector
	lines := bufio.NewScanner(stdin)
	for n := 1; lines.Scan(); n++ {
		text := uncomment(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if err := c.add(text); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fault.Usage("put each host on its line", "%s has a line of more than %d bytes", name, bufio.MaxScanTokenSize)
	} else if err != nil {
		return nil, fault.Usage("give the file's path, or - for stdin", "read %s: %w", name, err)
	}
	hosts, err := c.result()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return hosts, nil
}

func uncomment(line string) string {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i]
		}
	}
	return line
}
