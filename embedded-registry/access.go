package embeddedregistry

import (
	"net/http"

	"github.com/distribution/distribution/v3/registry/api/v2"
	"github.com/distribution/distribution/v3/registry/auth"
	"github.com/gorilla/mux"
)

// accesses tells what a request needs, as distribution tells its own access
// controllers (handlers.App.authorized). The app is given none, because it takes one
// only when it starts, and authentication can be turned on later; a test holds the two
// against each other.
type accesses struct{ router *mux.Router }

func newAccesses(prefix string) accesses { return accesses{v2.RouterWithPrefix(prefix)} }

// of also reports whether the request is for the catalog.
func (a accesses) of(r *http.Request) (wanted []auth.Access, catalog bool) {
	var match mux.RouteMatch
	if !a.router.Match(r, &match) {
		return nil, false // the app knows no such thing either
	}
	repository := match.Vars["name"]
	if repository == "" {
		if catalog = match.Route.GetName() == v2.RouteNameCatalog; catalog {
			wanted = append(wanted, auth.Access{Resource: auth.Resource{Type: "registry", Name: "catalog"}, Action: "*"})
		}
		return wanted, catalog
	}
	wanted = inRepository(wanted, r.Method, repository)
	if match.Route.GetName() != v2.RouteNameBlobUpload {
		return wanted, false
	}
	if from := r.FormValue("from"); from != "" { // a mount reads another one
		wanted = inRepository(wanted, http.MethodGet, from)
	}
	return wanted, false
}

func inRepository(wanted []auth.Access, method, name string) []auth.Access {
	repository := auth.Resource{Type: "repository", Name: name}
	switch method {
	case http.MethodGet, http.MethodHead:
		return append(wanted, auth.Access{Resource: repository, Action: "pull"})
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return append(wanted, auth.Access{Resource: repository, Action: "pull"}, auth.Access{Resource: repository, Action: "push"})
	case http.MethodDelete:
		return append(wanted, auth.Access{Resource: repository, Action: "delete"})
	}
	return wanted
}
