package proxy_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/proxy"
	"github.com/regctl/regctl/internal/proxy/proxytest"
	"github.com/regctl/regctl/internal/step"
	"github.com/regctl/regctl/internal/step/steptest"
)

func each(t *testing.T, f func(t *testing.T, kind proxy.Kind)) {
	t.Helper()
	for _, kind := range []proxy.Kind{proxy.Nginx, proxy.Apache} {
		t.Run(string(kind), func(t *testing.T) { f(t, kind) })
	}
}

func TestSiteContract(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		ca := newAuthority(t)
		cert, key := ca.issue(t)
		steps := func(t *testing.T, site proxy.Site) []step.Step {
			server, err := proxy.Find(t.Context(), kind)
			must(t, err)
			steps, err := proxy.Steps(server, site)
			must(t, err)
			return steps
		}
		site := siteFor(i, cert, key, "127.0.0.1:1")
		away := func(t *testing.T) {
			server, err := proxy.Find(t.Context(), kind)
			must(t, err)
			for _, s := range proxy.RemoveSteps(server, site.Name) {
				planned, err := step.Plan(t.Context(), local(t), []step.Step{s})
				must(t, err)
				_, err = step.Run(t.Context(), local(t), planned, nothing{})
				must(t, err)
			}
		}
		steptest.Run(t, local,
			steptest.Case{
				Name: "a site where none was",
				Steps: func(t *testing.T, _ host.Host, _ string) []step.Step {
					away(t)
					return steps(t, site)
				},
				Meddle: func(t *testing.T, _ string) {
					_, err := install(t, kind, siteFor(i, nil, nil, "127.0.0.1:2"))
					must(t, err)
				},
			},
			steptest.Case{
				Name: "another certificate",
				Steps: func(t *testing.T, _ host.Host, _ string) []step.Step {
					_, err := install(t, kind, site)
					must(t, err)
					next := site
					next.Cert, next.Key = ca.issue(t)
					return steps(t, next)
				},
			},
		)
	})
}

// To the byte, and the site beside ours is served all along.
func TestUndoLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		before := steptest.Tree(t, i.Root)
		cert, key := newAuthority(t).issue(t)
		receipts, err := install(t, kind, siteFor(i, cert, key, "127.0.0.1:1"))
		must(t, err)
		if steptest.Tree(t, i.Root) == before {
			t.Fatal("nothing was installed")
		}
		must(t, step.Undo(t.Context(), local(t), receipts))
		if after := steptest.Tree(t, i.Root); after != before {
			t.Errorf("the tree is\n%s\nwas\n%s", after, before)
		}
		if got := i.AskNeighbour(t); got != "200 neighbour" {
			t.Errorf("the site beside ours answers %q", got)
		}
	})
}

// A site that was written and not taken over, since someone was killed in between, is
// taken over by the next run.
func TestKilledBeforeReload(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		site := siteFor(i, nil, nil, "127.0.0.1:1")
		_, err := install(t, kind, site)
		must(t, err)
		server, err := proxy.Find(t.Context(), kind)
		must(t, err)
		steps, err := proxy.Steps(server, site)
		must(t, err)
		must(t, os.WriteFile(server.SitePath("test")+".pending", nil, 0o600))
		planned, err := step.Plan(t.Context(), local(t), steps)
		must(t, err)
		if planned.Empty() {
			t.Fatal("the reload that is missing is not planned")
		}
		_, err = step.Run(t.Context(), local(t), planned, nothing{})
		must(t, err)
		planned, err = step.Plan(t.Context(), local(t), steps)
		must(t, err)
		if !planned.Empty() {
			t.Errorf("still to do: %+v", planned.Items())
		}
	})
}

// includes are the lines that read folders of sites.
var includes = regexp.MustCompile(`(?m)^\s*Include(?:Optional)?.*(?:sites-enabled|conf\.d).*$|^\s*include .*(?:sites-enabled|conf\.d).*$`)

// Each of these is one clear error, and not a byte is different afterwards.
func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		tests := []struct {
			name    string
			prepare func(t *testing.T, i *proxytest.Instance, site *proxy.Site)
			want    []string // in the error and its hint
		}{
			{"a neighbour is broken", func(t *testing.T, i *proxytest.Instance, _ *proxy.Site) {
				i.Write(t, "sites-enabled/broken.conf", "NoSuchThing on;\n")
			}, []string{"sites-enabled/broken.conf:1", "NoSuchThing", "not regctl's"}},
			{"an include is missing", func(t *testing.T, i *proxytest.Instance, _ *proxy.Site) {
				i.Write(t, "sites-enabled/including.conf", map[proxy.Kind]string{
					proxy.Nginx: "include nowhere.conf;\n", proxy.Apache: "Include nowhere.conf\n",
				}[kind])
			}, []string{"sites-enabled/including.conf:1", "nowhere.conf", "not regctl's"}},
			{"a neighbour's key is another's", func(t *testing.T, i *proxytest.Instance, _ *proxy.Site) {
				ca := newAuthority(t)
				cert, _ := ca.issue(t)
				_, key := ca.issue(t)
				i.Write(t, "their.crt", string(cert))
				i.Write(t, "their.key", string(key))
				i.Write(t, "sites-enabled/theirs.conf", fmt.Sprintf(map[proxy.Kind]string{
					proxy.Nginx:  "server {\n\tlisten %[1]s ssl;\n\tssl_certificate %[2]s/their.crt;\n\tssl_certificate_key %[2]s/their.key;\n}\n",
					proxy.Apache: "<VirtualHost %[1]s>\n\tServerName theirs\n\tSSLEngine on\n\tSSLCertificateFile %[2]s/their.crt\n\tSSLCertificateKeyFile %[2]s/their.key\n</VirtualHost>\n",
				}[kind], i.Plain, i.Root))
				if kind == proxy.Apache {
					for _, file := range []string{"ssl.load", "socache_shmcb.load"} {
						must(t, os.Symlink("../mods-available/"+file, filepath.Join(i.Root, "mods-enabled", file)))
					}
				}
			}, []string{"their.key"}},
			{"the name is another site's", func(t *testing.T, i *proxytest.Instance, site *proxy.Site) {
				site.Cert, site.Key = nil, nil
				i.Write(t, "sites-enabled/theirs.conf", fmt.Sprintf(map[proxy.Kind]string{
					proxy.Nginx:  "server {\n\tlisten %s;\n\tserver_name other.test Registry.test;\n}\n",
					proxy.Apache: "Listen %[1]s\n<VirtualHost %[1]s>\n\tServerName other.test\n\tServerAlias Registry.test\n</VirtualHost>\n",
				}[kind], i.Addr))
			}, []string{"sites-enabled/theirs.conf serves registry.test at 127.", "--host"}},
			{"the address is served without TLS", func(t *testing.T, i *proxytest.Instance, _ *proxy.Site) {
				i.Write(t, "sites-enabled/theirs.conf", fmt.Sprintf(map[proxy.Kind]string{
					proxy.Nginx:  "server {\n\tlisten %s;\n\tserver_name other.test;\n}\n",
					proxy.Apache: "Listen %[1]s\n<VirtualHost %[1]s>\n\tServerName other.test\n</VirtualHost>\n",
				}[kind], i.Addr))
			}, []string{"sites-enabled/theirs.conf serves 127.", "without TLS", "--port"}},
			{"no folder of sites", func(t *testing.T, i *proxytest.Instance, _ *proxy.Site) {
				file := map[proxy.Kind]string{proxy.Nginx: "nginx.conf", proxy.Apache: "apache2.conf"}[kind]
				text, err := os.ReadFile(filepath.Join(i.Root, file))
				must(t, err)
				i.Write(t, file, includes.ReplaceAllString(string(text), ""))
			}, []string{"includes no folder of sites", "conf.d/*.conf"}},
			{"the port is another program's", func(t *testing.T, i *proxytest.Instance, _ *proxy.Site) {
				listen(t, i.Addr)
			}, []string{"port 7443 is served already", "pid", "--port"}},
			{"the file is somebody else's", func(t *testing.T, i *proxytest.Instance, _ *proxy.Site) {
				i.Write(t, "sites-available/regctl-test.conf", "# mine\n")
			}, []string{"sites-available/regctl-test.conf", "regctl did not make"}},
			{"a word that a configuration cannot hold", func(_ *testing.T, _ *proxytest.Instance, site *proxy.Site) {
				site.Realm = `a"; b {`
			}, []string{"cannot hold"}},
			{"the key is another's", func(t *testing.T, _ *proxytest.Instance, site *proxy.Site) {
				_, site.Key = newAuthority(t).issue(t)
			}, []string{"certificate and the key of site test", "does not match"}},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				i := proxytest.Start(t, kind)
				cert, key := newAuthority(t).issue(t)
				site := siteFor(i, cert, key, "127.0.0.1:1")
				tt.prepare(t, i, &site)
				before := steptest.Tree(t, i.Root)
				err := tryInstall(t, kind, site)
				if err == nil {
					t.Fatal("it was installed")
				}
				for _, want := range tt.want {
					if text := err.Error() + "\n" + fault.Hint(err); !strings.Contains(text, want) {
						t.Errorf("nothing of %q in: %s", want, text)
					}
				}
				if after := steptest.Tree(t, i.Root); after != before {
					t.Errorf("the tree is\n%s\nwas\n%s", after, before)
				}
				if got := i.AskNeighbour(t); got != "200 neighbour" {
					t.Errorf("the site beside ours answers %q", got)
				}
			})
		}
	})
}

// tryInstall is install for those who expect an error, wherever it comes from.
func tryInstall(t *testing.T, kind proxy.Kind, site proxy.Site) error {
	t.Helper()
	server, err := proxy.Find(t.Context(), kind)
	if err != nil {
		return err
	}
	if err := proxy.Preflight(t.Context(), server, site); err != nil {
		return err
	}
	_, err = install(t, kind, site)
	return err
}

// A port that is taken after the preflight is found out when the site is brought in.
func TestReloadFails(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		before := steptest.Tree(t, i.Root)
		server, err := proxy.Find(t.Context(), kind)
		must(t, err)
		listen(t, i.Addr)
		steps, err := proxy.Steps(server, siteFor(i, nil, nil, "127.0.0.1:1"))
		must(t, err)
		planned, err := step.Plan(t.Context(), local(t), steps)
		must(t, err)
		receipts, err := step.Run(t.Context(), local(t), planned, nothing{})
		// Apache is not even asked: it would end.
		want := map[proxy.Kind]string{proxy.Nginx: "ddress already in use", proxy.Apache: "port 7443 is served already"}[kind]
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(fault.Hint(err), "--port") {
			t.Errorf("error is %v, hint %q", err, fault.Hint(err))
		}
		must(t, step.Undo(t.Context(), local(t), receipts))
		if after := steptest.Tree(t, i.Root); after != before {
			t.Errorf("the tree is\n%s\nwas\n%s", after, before)
		}
		if got := i.AskNeighbour(t); got != "200 neighbour" {
			t.Errorf("the site beside ours answers %q", got)
		}
	})
}

// A certificate that OpenSSL finds too weak passes configtest, and Apache ends at the
// reload: it is started again with what it had.
func TestEndedByReload(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		notOurs(t)
		i := proxytest.Start(t, kind)
		before := steptest.Tree(t, i.Root)
		cert, key := weak(t)
		err := tryInstall(t, kind, siteFor(i, cert, key, "127.0.0.1:1"))
		if err == nil || !strings.Contains(err.Error(), "ee key too small") && !strings.Contains(err.Error(), "regctl-test.pem") {
			t.Errorf("error is %v", err)
		}
		if after := steptest.Tree(t, i.Root); after != before {
			t.Errorf("the tree is\n%s\nwas\n%s", after, before)
		}
		if got := i.AskNeighbour(t); got != "200 neighbour" {
			t.Errorf("the site beside ours answers %q", got)
		}
	})
}

// weak is a pair with a key of 1024 bits.
func weak(t *testing.T) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // that it is weak is the point
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// What breaks beside ours later does not keep our files here.
func TestRemoveBesideBroken(t *testing.T) {
	each(t, func(t *testing.T, kind proxy.Kind) {
		i := proxytest.Start(t, kind)
		receipts, err := install(t, kind, siteFor(i, nil, nil, "127.0.0.1:1"))
		must(t, err)
		broken := filepath.Join("sites-enabled", "broken.conf")
		i.Write(t, broken, "NoSuchThing on;\n")
		err = step.Undo(t.Context(), local(t), receipts)
		if err == nil || !strings.Contains(err.Error(), broken) {
			t.Errorf("error is %v", err)
		}
		if left, err := filepath.Glob(filepath.Join(i.Root, "*", "regctl-*")); err != nil || len(left) > 0 {
			t.Errorf("left are %q, %v", left, err)
		}
	})
}
