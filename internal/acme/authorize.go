package acme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	legoacme "github.com/go-acme/lego/v4/acme"

	"github.com/regctl/regctl/internal/fault"
)

// proof is what one kind of challenge needs of us.
type proof interface {
	// present puts the answer for a name, or an address, where validators look.
	present(ctx context.Context, name, token, keyAuth string) error
	// ready waits until they would see it.
	ready(ctx context.Context, authz legoacme.Authorization) error
	// cleanUp removes it; ctx may be done.
	cleanUp(ctx context.Context, name, token, keyAuth string) error
	// close ends what was begun for all names.
	close() error
}

// task is one name to prove.
type task struct {
	authz   legoacme.Authorization
	url     string
	chall   legoacme.Challenge
	keyAuth string
}

func (t task) name() string {
	if t.authz.Wildcard {
		return "*." + t.authz.Identifier.Value
	}
	return t.authz.Identifier.Value
}

// authorize proves all names that the CA has not seen proven lately. All answers are
// in place before the CA is told to look at the first.
func (s *session) authorize(order legoacme.ExtendedOrder) (err error) {
	tasks, err := s.tasks(order)
	if err != nil || len(tasks) == 0 {
		return err
	}
	proof, err := s.newProof()
	if err != nil {
		return err
	}
	var begun []task
	defer func() {
		for _, t := range slices.Backward(begun) {
			s.warn(t, proof.cleanUp(context.WithoutCancel(s.ctx), t.authz.Identifier.Value, t.chall.Token, t.keyAuth))
		}
		err = errors.Join(err, proof.close())
	}()
	for _, t := range tasks {
		begun = append(begun, t)
		if err := proof.present(s.ctx, t.authz.Identifier.Value, t.chall.Token, t.keyAuth); err != nil {
			return err
		}
	}
	for _, t := range tasks {
		if err := proof.ready(s.ctx, t.authz); err != nil {
			return about{name: t.name(), err: err}
		}
	}
	for _, t := range tasks {
		s.say(fmt.Sprintf("%s: asking the CA to look (%s)", t.name(), s.o.Challenge.Kind))
		if _, err := s.core.Challenges.New(t.chall.URL); err != nil {
			return about{name: t.name(), err: err}
		}
	}
	return s.allValidated(tasks)
}

// allValidated reports the first name that the CA did not find proven, and which
// others it did not.
func (s *session) allValidated(tasks []task) error {
	var failed about
	for _, t := range tasks {
		err := s.validated(t)
		switch {
		case err == nil:
		case failed.err != nil:
			failed.others = append(failed.others, t.name())
		case problemIn(err) != nil:
			failed = about{name: t.name(), err: err}
		default:
			return about{name: t.name(), err: err}
		}
	}
	if failed.err != nil {
		return failed
	}
	return nil
}

func (s *session) warn(t task, err error) {
	if err != nil {
		s.say(fmt.Sprintf("warning: %s: the challenge's answer is still there: %v", t.name(), err))
	}
}

// tasks are the authorizations that wait for a proof.
func (s *session) tasks(order legoacme.ExtendedOrder) ([]task, error) {
	var tasks []task
	for _, url := range order.Authorizations {
		authz, err := s.core.Authorizations.Get(url)
		if err != nil {
			return nil, err
		}
		t := task{authz: authz, url: url}
		switch authz.Status {
		case legoacme.StatusValid:
			continue
		case legoacme.StatusPending:
		default:
			return nil, about{name: t.name(), err: odd{"the CA's authorization is " + authz.Status}}
		}
		offered := []string{}
		for _, c := range authz.Challenges {
			offered = append(offered, c.Type)
			if c.Type == s.o.Challenge.Kind {
				t.chall = c
			}
		}
		if t.chall.URL == "" {
			return nil, fault.Usage("choose one of them with --challenge", "%s: %s does not take %s, only %s",
				t.name(), s.host(), s.o.Challenge.Kind, strings.Join(offered, ", "))
		}
		if !isToken(t.chall.Token) {
			return nil, about{name: t.name(), err: odd{"the CA sent a token that is none"}}
		}
		if t.keyAuth, err = s.core.GetKeyAuthorization(t.chall.Token); err != nil {
			return nil, err
		}
		tasks = append(tasks, t)
	}
	slices.SortStableFunc(tasks, func(a, b task) int {
		return slices.Index(s.o.Names, a.name()) - slices.Index(s.o.Names, b.name())
	})
	return tasks, nil
}

// isToken keeps a CA from naming files (RFC 8555, 8.3: base64url).
func isToken(token string) bool {
	strange := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	return token != "" && !strings.ContainsFunc(token, strange)
}

// validated waits until the CA has looked.
func (s *session) validated(t task) error {
	return s.poll("the CA to look", validationTime, func() (bool, error) {
		authz, err := s.core.Authorizations.Get(t.url)
		if err != nil {
			return false, err
		}
		switch authz.Status {
		case legoacme.StatusValid:
			return true, nil
		case legoacme.StatusPending, legoacme.StatusProcessing:
			return false, nil
		}
		for _, c := range authz.Challenges {
			if err := c.Err(); err != nil {
				return false, err
			}
		}
		return false, odd{"the CA's authorization is " + authz.Status + ", and it does not say why"}
	})
}

// about is an error that concerns one name, and likewise others.
type about struct {
	name   string
	err    error
	others []string
}

func (a about) Error() string { return a.name + ": " + a.err.Error() }
func (a about) Unwrap() error { return a.err }
