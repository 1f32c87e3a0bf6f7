package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/fault"
)

// Writes asks an embedded registry how it stands with requests that write. nonce is
// that of the file ctl/readonly.
func (e Endpoint) Writes(ctx context.Context, nonce string) (w embeddedregistry.Writes, err error) {
	client, err := e.client()
	if err != nil {
		return w, err
	}
	defer client.CloseIdleConnections()
	at, err := url.JoinPath(e.URL, embeddedregistry.ReadonlyPath)
	if err != nil {
		return w, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return w, err
	}
	req.Header.Set(embeddedregistry.ReadonlyHeader, nonce)
	resp, err := client.Do(req)
	if err != nil {
		return w, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return w, fault.Fail("regctl upgrade has it run this regctl",
			"the registry does not tell whether somebody writes to it: %s answers %s", at, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&w); err != nil {
		return w, fmt.Errorf("%s: %w", at, err)
	}
	return w, nil
}
