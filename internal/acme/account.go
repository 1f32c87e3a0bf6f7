package acme

import (
	"encoding/json"
	"errors"

	legoacme "github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/pki"
	"github.com/regctl/regctl/internal/secret"
)

// book holds the accounts that we have, one a directory: a try against a staging
// directory leaves the other's alone.
type book map[string]account

// account is what one CA knows us by. Whoever has the key can do all that we can.
type account struct {
	URI   string `json:"uri,omitempty"` // "" when it got lost: the CA finds it by the key
	Email string `json:"email,omitempty"`
	Key   string `json:"key"` // PEM, PKCS#8
}

func readBook(accounts secret.String) (book, error) {
	b := book{}
	if accounts.Empty() {
		return b, nil
	}
	if err := json.Unmarshal([]byte(accounts.Reveal()), &b); err != nil {
		return nil, fault.Fail("restore it from a backup, or remove it: a new account is made then", "the file of ACME accounts does not parse: %w", err)
	}
	return b, nil
}

func (b book) encode() secret.String {
	if len(b) == 0 {
		return secret.String{}
	}
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		panic(err) // texts alone
	}
	return secret.New(string(data) + "\n")
}

// login makes s.core speak for our account, made anew where there is none.
func (s *session) login() error {
	ours, known := s.book[s.o.directory()]
	if !known {
		_, keyPEM, err := pki.NewKey("")
		if err != nil {
			return err
		}
		ours = account{Key: string(keyPEM)}
	}
	if err := s.speakAs(ours); err != nil {
		return err
	}
	if ours.URI != "" {
		there, err := s.core.Accounts.Get(ours.URI)
		switch {
		case err == nil:
			return s.checkStatus(there, ours)
		case !isProblem(err, "accountDoesNotExist"):
			return err
		}
		ours.URI = ""
		if err := s.speakAs(ours); err != nil {
			return err
		}
	}
	if known {
		switch there, err := s.core.Accounts.New(legoacme.Account{OnlyReturnExisting: true}); {
		case err == nil:
			s.say("found the ACME account again by its key")
			ours.URI = there.Location
			s.book[s.o.directory()] = ours
			return s.checkStatus(there.Account, ours)
		case !isProblem(err, "accountDoesNotExist"):
			return err
		}
	}
	return s.register(ours)
}

// speakAs signs what follows with an account's key, and names the account if it is known.
func (s *session) speakAs(a account) error {
	key, err := pki.ParseKey([]byte(a.Key))
	if err != nil {
		return fault.Fail("restore the file of ACME accounts from a backup, or remove it: a new account is made then", "the ACME account's key: %w", err)
	}
	s.core, err = api.New(s.client(), userAgent, s.o.directory(), a.URI, key)
	return err
}

// checkStatus refuses an account that the CA or its owner has closed, and tells the
// CA of a new address.
func (s *session) checkStatus(there legoacme.Account, ours account) error {
	if there.Status != legoacme.StatusValid {
		return fault.Fail("remove the file of ACME accounts: a new account is made then", "%s: our account is %s", s.host(), there.Status)
	}
	if s.o.Email == "" || s.o.Email == ours.Email {
		return nil
	}
	if _, err := s.core.Accounts.Update(ours.URI, legoacme.Account{Contact: s.contact()}); err != nil {
		return err
	}
	ours.Email = s.o.Email
	s.book[s.o.directory()] = ours
	return nil
}

func (s *session) contact() []string {
	if s.o.Email == "" {
		return nil
	}
	return []string{"mailto:" + s.o.Email}
}

func (s *session) register(ours account) error {
	meta := s.core.GetDirectory().Meta
	if meta.TermsOfService != "" && !s.o.AcceptTOS {
		return s.termsFault(meta.TermsOfService)
	}
	if meta.ExternalAccountRequired && s.o.EAB.KID == "" {
		return s.bindingFault()
	}
	s.say("registering an account at " + s.host())
	request := legoacme.Account{Contact: s.contact(), TermsOfServiceAgreed: true}
	var there legoacme.ExtendedAccount
	var err error
	if s.o.EAB.KID != "" {
		there, err = s.core.Accounts.NewEAB(request, s.o.EAB.KID, s.o.EAB.HMAC.Reveal())
		if p := problemIn(err); p != nil && isProblem(err, "unauthorized", "malformed") {
			return fault.Fail("check --eab-kid and --eab-hmac-file: copy both from your account there anew, if they were used or are old",
				"%s: %s (%s)", s.host(), p.Detail, kindOf(p))
		}
	} else {
		there, err = s.core.Accounts.New(request)
	}
	if err == nil && there.Location == "" {
		err = errors.New("the CA did not say which account it made")
	}
	if err != nil {
		return err
	}
	ours.URI, ours.Email = there.Location, s.o.Email
	s.book[s.o.directory()] = ours
	return nil
}

func (s *session) termsFault(url string) error {
	return fault.Usage("read "+url+", then add --accept-tos", "%s has terms of service that nobody accepted yet", s.host())
}

func (s *session) bindingFault() error {
	return fault.Usage("take both from your account there: --eab-kid KID --eab-hmac-file FILE",
		"%s makes accounts for its customers alone (external account binding)", s.host())
}
