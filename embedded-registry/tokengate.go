package embeddedregistry

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/distribution/distribution/v3/registry/api/errcode"
	"github.com/distribution/distribution/v3/registry/auth"

	"github.com/regctl/regctl/embedded-registry/canaryimage"
)

var errTooLittle = errors.New("the token is not good for that")

// takesToken lets in whoever shows a token that names all the request needs, if the
// rules of this moment still let its user do that.
func (g *gate) takesToken(w http.ResponseWriter, r *http.Request, now *roster) (may func(string) bool, ok bool) {
	if now.broken {
		g.putOff(w)
		return nil, false
	}
	wanted, catalog := g.access.of(r)
	user, err := g.bearer(r, now, wanted)
	if err != nil {
		g.challenge(w, r, now, wanted, err)
		return nil, false
	}
	if !catalog {
		return nil, true
	}
	return func(repository string) bool { return now.issuer.lets(user, repository, "pull") }, true
}

var errNoToken = errors.New("a token is needed")

// bearer is the user whose token a request shows.
func (g *gate) bearer(r *http.Request, now *roster, wanted []auth.Access) (user string, err error) {
	scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") || raw == "" {
		return "", errNoToken
	}
	c, err := now.issuer.read(raw, g.tokens, time.Now())
	if err != nil {
		return "", err
	}
	if c.Subject != "" && !slices.ContainsFunc(now.hashes(c.Subject), func(hash string) bool {
		return now.issuer.credentialOf(c.Subject, hash) == c.Credential
	}) {
		return "", errBadToken // the user has gone, or has another password
	}
	if !c.covers(wanted) {
		return "", errTooLittle
	}
	for _, a := range wanted {
		if !now.issuer.permits(c.Subject, a.Type, a.Name, a.Action) {
			return "", errTooLittle
		}
	}
	return c.Subject, nil
}

// permits reports what the rules say to an access.
func (i *issuer) permits(user, kind, name, action string) bool {
	switch kind {
	case "repository":
		return i.lets(user, name, action)
	case "registry": // the catalog itself shows what one may pull
		return name == "catalog" && action == "*" && (user != "" || i.rules.openToAll())
	}
	return false
}

// lets also has everybody who logged in pull the canary, which is nobody's secret.
func (i *issuer) lets(user, repository, action string) bool {
	if isCanary(repository) && action == "pull" && user != "" {
		return true
	}
	return i.rules.allow(user, repository, action)
}

func isCanary(repository string) bool {
	return repository == canaryimage.Repository || canaryimage.WordOf(repository) != ""
}

// challenge tells the client where it gets a token, and what for (distribution's
// docs/content/spec/auth/token.md).
func (g *gate) challenge(w http.ResponseWriter, r *http.Request, now *roster, wanted []auth.Access, why error) {
	g.dress(w)
	text := fmt.Sprintf("Bearer realm=%q,service=%q", g.realm(r), now.issuer.service)
	if scope := scopeOf(wanted); scope != "" {
		text += fmt.Sprintf(",scope=%q", scope)
	}
	switch {
	case errors.Is(why, errBadToken):
		text += `,error="invalid_token"`
	case errors.Is(why, errTooLittle):
		text += `,error="insufficient_scope"`
	}
	w.Header().Set("WWW-Authenticate", text)
	if wanted == nil {
		wanted = []auth.Access{} // see refuse
	}
	_ = errcode.ServeJSON(w, errcode.ErrorCodeUnauthorized.WithDetail(wanted))
}

// realm is under the name that this client has for the registry: a password goes
// nowhere but where it asked.
func (g *gate) realm(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if said := r.Header.Get("X-Forwarded-Proto"); said == "http" || said == "https" {
		scheme = said // by a proxy, or by a client that fools itself
	}
	return scheme + "://" + r.Host + g.path
}

// scopeOf is one scope for each resource.
func scopeOf(wanted []auth.Access) string {
	var scopes []string
	for i, w := range wanted {
		if i > 0 && wanted[i-1].Resource == w.Resource {
			scopes[len(scopes)-1] += "," + w.Action
		} else {
			scopes = append(scopes, w.Type+":"+w.Name+":"+w.Action)
		}
	}
	return strings.Join(scopes, " ")
}

// showsCanaryToken reports whether a request for the canary shows a token that the
// canary's own credential was given.
func (g *gate) showsCanaryToken(r *http.Request, file canaryimage.File) bool {
	now := g.accounts.look(false)
	scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if now.issuer == nil || now.broken || file.Credential == "" || !strings.EqualFold(scheme, "bearer") {
		return false
	}
	c, err := now.issuer.read(raw, g.tokens, time.Now())
	return err == nil && c.Subject == canarySubject && c.Credential == now.issuer.credentialOf(canarySubject, file.Credential)
}
