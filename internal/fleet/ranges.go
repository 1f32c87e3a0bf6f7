package fleet

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/regctl/regctl/internal/fault"
)

// expand calls each with the hosts that an entry stands for, in order, the last range
// counting fastest, until each returns an error.
func expand(entry string, each func(string) error) error {
	before, inner, after, err := firstRange(entry)
	if err != nil {
		return err
	}
	if inner == "" {
		return each(entry)
	}
	spans, err := spansOf(entry, inner)
	if err != nil {
		return err
	}
	for _, s := range spans {
		for n := s.from; n <= s.to; n++ {
			if err := expand(fmt.Sprintf("%s%0*d%s", before, s.width, n, after), each); err != nil {
				return err
			}
		}
	}
	return nil
}

// firstRange finds the first brackets that hold no IPv6 address; inner is empty when
// there are none.
func firstRange(entry string) (before, inner, after string, err error) {
	start := 0
	for {
		open := strings.IndexByte(entry[start:], '[')
		if open < 0 {
			if strings.Contains(entry[start:], "]") {
				return "", "", "", fault.Usage("a range is written "+rangeExample, "%q has a ] without its [", entry)
			}
			return entry, "", "", nil
		}
		open += start
		length := strings.IndexByte(entry[open:], ']')
		if length < 0 {
			return "", "", "", fault.Usage("a range is written "+rangeExample, "%q has a [ without its ]", entry)
		}
		end := open + length
		inner = entry[open+1 : end]
		if strings.Contains(inner, ":") && !strings.Contains(inner, "[") {
			if open > 0 && entry[open-1] != '@' {
				return "", "", "", fault.Usage("a range is written "+rangeExample, "%q has a colon in [%s], which is where no IPv6 address can be", entry, inner)
			}
			start = end + 1 // parse judges the address
			continue
		}
		return entry[:open], inner, entry[end+1:], checkRange(entry, inner)
	}
}

func checkRange(entry, inner string) error {
	if inner == "" || strings.Trim(inner, "0123456789-, ") != "" {
		return fault.Usage("a range is written "+rangeExample, "%q: [%s] is neither a range of numbers nor an IPv6 address", entry, inner)
	}
	return nil
}

// span is the numbers from one to another, with zeros before them up to a width.
type span struct {
	from, to, width int
}

func spansOf(entry, inner string) ([]span, error) {
	var spans []span
	for _, part := range strings.Split(inner, ",") {
		first, last, both := strings.Cut(strings.TrimSpace(part), "-")
		if !both {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		padded := len(first) > 1 && first[0] == '0' || len(last) > 1 && last[0] == '0'
		switch {
		case err1 != nil || err2 != nil || to < 0:
			return nil, fault.Usage("a range is written "+rangeExample, "%q: %q is no range of numbers", entry, part)
		case from > to:
			return nil, fault.Usage(fmt.Sprintf("write [%s-%s]", last, first), "%q: the range %s runs backwards", entry, part)
		case padded && len(first) != len(last):
			return nil, fault.Usage(fmt.Sprintf("write [%0*d-%s]", len(last), from, last), "%q: the ends of %s have different lengths, so it is not clear how many zeros go before the numbers", entry, part)
		case to-from >= MaxHosts:
			return nil, fault.Usage("give fewer at a time, and see that no range is longer than meant", "%q: more than %d hosts", entry, MaxHosts)
		}
		s := span{from, to, 0}
		if padded {
			s.width = len(first)
		}
		spans = append(spans, s)
	}
	return spans, nil
}
