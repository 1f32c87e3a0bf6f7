package dnsprovider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/go-acme/lego/v4/challenge/dns01"
)

// cleanUpTime is how long a script may take to remove its record when the call that
// it was set for is over.
const cleanUpTime = time.Minute

// script is lego's exec provider in what it calls and how. Unlike lego's, the program
// ends with the call, says in the error what it printed, and has the credentials
// file's other variables in its environment, which no other process has.
type script struct {
	pace
	ctx     context.Context
	program string
	raw     bool
	env     []string
}

func execScript() kind {
	return kind{
		name: "exec", prefix: "EXEC_",
		needs:  [][]string{{"EXEC_PATH"}},
		also:   []string{"EXEC_MODE"},
		others: true,
		make: func(ctx context.Context, v *values) (Provider, error) {
			s := &script{pace: v.pace(), ctx: ctx, program: v.get("EXEC_PATH"), raw: v.get("EXEC_MODE") == "RAW"}
			for name, value := range v.text {
				if !slices.Contains(v.k.variables(), name) {
					s.env = append(s.env, name+"="+value)
				}
			}
			if _, err := exec.LookPath(s.program); err != nil {
				return nil, fmt.Errorf("EXEC_PATH: %w", err)
			}
			return s, nil
		},
	}
}

func (s *script) Present(domain, token, keyAuth string) error {
	return s.run(s.ctx, "present", domain, token, keyAuth)
}

func (s *script) CleanUp(domain, token, keyAuth string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), cleanUpTime)
	defer cancel()
	return s.run(ctx, "cleanup", domain, token, keyAuth)
}

func (s *script) run(ctx context.Context, action, domain, token, keyAuth string) error {
	args := []string{action, "--", domain, token, keyAuth}
	if !s.raw {
		info := dns01.GetChallengeInfo(domain, keyAuth)
		args = []string{action, info.EffectiveFQDN, info.Value}
	}
	cmd := exec.CommandContext(ctx, s.program, args...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.WaitDelay = time.Second // for what the program left running
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	err = fmt.Errorf("%s %s: %w", s.program, action, err)
	lines := strings.Split(strings.TrimSpace(output.String()), "\n")
	if last := lines[len(lines)-1]; last != "" {
		err = fmt.Errorf("%w: %s", err, last)
	}
	return err
}
