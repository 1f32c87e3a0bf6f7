package embeddedregistry

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/sirupsen/logrus"

	"github.com/regctl/regctl/embedded-registry/canaryimage"
)

const (
	// canarySubject cannot be the name of a user, which has no colon.
	canarySubject = "regctl:canary"
	// mostScopes bounds what one request asks for.
	mostScopes = 64
)

// tokenRequest is what a client asks for, by either form of the protocol.
type tokenRequest struct {
	user, password string
	given          bool // a user
	scopes         []string
}

// tokenAnswer has token for the older form and access_token for both.
type tokenAnswer struct {
	Token       string    `json:"token"`
	AccessToken string    `json:"access_token"`
	ExpiresIn   int       `json:"expires_in"`
	IssuedAt    time.Time `json:"issued_at"`
	Scope       string    `json:"scope,omitempty"`
}

// givesTokens serves the Docker token protocol beside /v2/: GET with Basic
// authentication (distribution's docs/content/spec/auth/token.md) and the OAuth2 POST
// with grant_type=password (oauth.md). There are no refresh tokens.
func (g *gate) givesTokens(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := g.accounts.look(false)
		if r.URL.Path != g.path || now.issuer == nil {
			next.ServeHTTP(w, r)
			return
		}
		ask, err := readTokenRequest(w, r)
		if err != nil {
			g.dress(w)
			_ = errcode.ServeJSON(w, err)
			return
		}
		g.giveToken(w, r, now, ask)
	})
}

func readTokenRequest(w http.ResponseWriter, r *http.Request) (ask tokenRequest, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		return ask, errcode.ErrorCodeUnsupported.WithMessage("a form is expected")
	}
	switch r.Method {
	case http.MethodGet:
		ask.user, ask.password, ask.given = r.BasicAuth()
		if !ask.given && r.Header.Get("Authorization") != "" {
			return ask, errcode.ErrorCodeUnsupported.WithMessage("tokens are given for a user and a password")
		}
	case http.MethodPost:
		if kind := r.PostForm.Get("grant_type"); kind != "password" {
			return ask, errcode.ErrorCodeUnsupported.WithMessage("the one grant_type is password")
		}
		ask.user, ask.password, ask.given = r.PostForm.Get("username"), r.PostForm.Get("password"), true
	default:
		w.Header().Set("Allow", "GET, POST")
		return ask, errcode.ErrorCodeUnsupported
	}
	for _, list := range r.Form["scope"] {
		ask.scopes = append(ask.scopes, strings.Fields(list)...)
	}
	if len(ask.scopes) > mostScopes {
		return ask, errcode.ErrorCodeUnsupported.WithMessage("too many scopes")
	}
	return ask, nil
}

// giveToken gives whoever is who they say a token for as much of what they ask for as
// the rules let them do, which may be nothing.
func (g *gate) giveToken(w http.ResponseWriter, r *http.Request, now *roster, ask tokenRequest) {
	if file, ok := g.canaryFor(ask); ok {
		access := granted(ask.scopes, func(kind, name, action string) bool {
			return kind == "repository" && isCanary(name) && action == "pull"
		})
		g.answer(w, now.issuer, canarySubject, file.Credential, access)
		return
	}
	if ask.given {
		if err := g.check(r, now, ask.user, ask.password, true); err != nil {
			g.noToken(w, r, now, err)
			return
		}
		now = g.accounts.look(false) // the check may have looked at the files
	}
	hash := g.hashOf(now, ask.user, ask.password)
	if now.issuer == nil || now.broken || ask.given && hash == "" { // changed meanwhile
		g.putOff(w)
		return
	}
	access := granted(ask.scopes, func(kind, name, action string) bool { return now.issuer.permits(ask.user, kind, name, action) })
	if !ask.given && len(access) == 0 { // a token for nothing would not tell people to log in
		g.noToken(w, r, now, errRefused)
		return
	}
	g.answer(w, now.issuer, ask.user, hash, access)
}

// canaryFor reports whether the canary's own credential asks.
func (g *gate) canaryFor(ask tokenRequest) (canaryimage.File, bool) {
	if g.canary == nil || !ask.given {
		return canaryimage.File{}, false
	}
	file := g.canary.look().file
	for _, scope := range ask.scopes {
		name := strings.TrimSuffix(strings.TrimPrefix(scope, "repository:"), ":pull")
		if now := g.canary.bySignature(name); now.image != nil {
			file = now.file
		}
	}
	return file, file.Opens(ask.user, ask.password)
}

func (g *gate) noToken(w http.ResponseWriter, r *http.Request, now *roster, why error) {
	switch {
	case errors.Is(why, errRefused):
		g.refuse(w, now.realm)
	case r.Context().Err() != nil: // nobody is there to be answered
	default:
		g.putOff(w)
	}
}

func (g *gate) answer(w http.ResponseWriter, i *issuer, user, hash string, access []tokenAccess) {
	now, tie := time.Now(), ""
	if user != "" {
		tie = i.credentialOf(user, hash)
	}
	token, err := i.issue(user, tie, access, now)
	if err != nil {
		logrus.Errorf("signing a token: %v", err)
		g.putOff(w)
		return
	}
	var scopes []string
	for _, a := range access {
		scopes = append(scopes, a.Type+":"+a.Name+":"+strings.Join(a.Actions, ","))
	}
	g.dress(w)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(tokenAnswer{
		Token: token, AccessToken: token, ExpiresIn: int(tokenLife.Seconds()), IssuedAt: now.UTC().Truncate(time.Second),
		Scope: strings.Join(scopes, " "),
	})
}

// granted is what permit lets pass of scopes, each TYPE[(CLASS)]:NAME:ACTION,ACTION
// with colons allowed in the name (docs/content/spec/auth/scope.md). * stands for all
// that may be done. Text that is no scope asks for nothing.
func granted(scopes []string, permit func(kind, name, action string) bool) []tokenAccess {
	all := []tokenAccess{}
	for _, scope := range scopes {
		kind, rest, _ := strings.Cut(scope, ":")
		colon := strings.LastIndexByte(rest, ':')
		if colon < 0 {
			continue
		}
		kind, class, _ := strings.Cut(strings.TrimSuffix(kind, ")"), "(")
		a := tokenAccess{Type: kind, Class: class, Name: rest[:colon], Actions: []string{}}
		asked := strings.Split(rest[colon+1:], ",")
		if kind == "repository" && slices.Contains(asked, "*") {
			asked = actions
		}
		for _, action := range asked {
			if permit(a.Type, a.Name, action) && !slices.Contains(a.Actions, action) {
				a.Actions = append(a.Actions, action)
			}
		}
		if len(a.Actions) > 0 {
			all = append(all, a)
		}
	}
	return all
}
