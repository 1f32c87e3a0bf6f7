package distconfig

import (
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"go.yaml.in/yaml/v2"
)

// rule tells what is wrong with a scalar; "" is nothing. A scalar is given as
// YAML and as the value that yaml.v2, distribution's own parser, makes of it.
type rule func(text string, value any) string

// leaf is a scalar that distribution's parser decodes into t.
func leaf(t reflect.Type) *key {
	return &key{text: t.Kind() == reflect.String, rule: func(text string, value any) string {
		err := yaml.Unmarshal([]byte(text), reflect.New(t).Interface())
		switch {
		case err == nil:
			return tooShort(t, value)
		case t == reflect.TypeFor[time.Duration]():
			return fmt.Sprintf("%s is no duration such as 10s or 24h", text)
		case t.Kind() == reflect.Bool:
			return fmt.Sprintf("%s is neither true nor false", text)
		case t.Kind() == reflect.Int:
			return fmt.Sprintf("%s is no whole number", text)
		}
		return err.Error()
	}}
}

// tooShort catches a duration whose unit was left out: distribution takes the
// bare number for nanoseconds.
func tooShort(t reflect.Type, value any) string {
	n, bare := value.(int)
	if t != reflect.TypeFor[time.Duration]() || !bare || n == 0 || n >= int(time.Millisecond) {
		return ""
	}
	return fmt.Sprintf("%d without a unit is nanoseconds; write %ds", n, n)
}

func nonEmpty(_ string, value any) string {
	if value == nil || value == "" {
		return "is empty"
	}
	return ""
}

func stringOnly(text string, value any) string {
	if _, ok := value.(string); !ok {
		return fmt.Sprintf("%s must be text: put it in quotes", orNothing(text))
	}
	return ""
}

func boolean(text string, value any) string {
	if _, ok := value.(bool); !ok {
		return orNothing(text) + " is neither true nor false"
	}
	return ""
}

// booleanText is what the S3 driver takes: a boolean or its text.
func booleanText(text string, value any) string {
	if s, ok := value.(string); ok {
		if _, err := strconv.ParseBool(s); err == nil {
			return ""
		}
	}
	if value == nil {
		return ""
	}
	return boolean(text, value)
}

// number is what drivers take: a number or its text.
func number(text string, value any) string {
	if value == nil {
		return ""
	}
	if _, err := strconv.ParseInt(fmt.Sprint(value), 0, 64); err != nil {
		return text + " is no whole number"
	}
	return ""
}

func count(text string, value any) string {
	if n, ok := value.(int); !ok || n < 0 {
		return orNothing(text) + " is no whole number, 0 or more"
	}
	return ""
}

func durationText(text string, value any) string {
	s, ok := value.(string)
	if !ok {
		return orNothing(text) + " is no duration such as 168h"
	}
	if _, err := time.ParseDuration(s); err != nil {
		return text + " is no duration such as 168h"
	}
	return ""
}

func oneOf(words ...string) rule {
	return func(text string, value any) string {
		if value == nil || slices.Contains(words, fmt.Sprint(value)) {
			return ""
		}
		return fmt.Sprintf("%s is none of %s", text, strings.Join(words, ", "))
	}
}

func logLevel(text string, value any) string {
	if _, err := logrus.ParseLevel(fmt.Sprint(value)); err != nil {
		return text + " is no log level: panic, fatal, error, warn, info or debug"
	}
	return ""
}

func regular(_ string, value any) string {
	if _, err := regexp.Compile(fmt.Sprint(value)); err != nil {
		return err.Error()
	}
	return ""
}

func address(text string, value any) string {
	s, _ := value.(string)
	if _, err := url.Parse(s); err != nil {
		return text + " is no URL"
	}
	return ""
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}
