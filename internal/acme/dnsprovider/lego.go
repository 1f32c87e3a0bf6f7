package dnsprovider

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/go-acme/lego/v4/providers/dns/acmedns"
	"github.com/go-acme/lego/v4/providers/dns/azuredns"
	"github.com/go-acme/lego/v4/providers/dns/cloudflare"
	"github.com/go-acme/lego/v4/providers/dns/digitalocean"
	"github.com/go-acme/lego/v4/providers/dns/hetzner"
	"github.com/go-acme/lego/v4/providers/dns/httpreq"
	"github.com/go-acme/lego/v4/providers/dns/tencentcloud"

	"github.com/regctl/regctl/internal/fault"
)

func (v *values) client() *http.Client { return &http.Client{Timeout: v.httpTimeout()} }

func acmeDNS() kind {
	return kind{
		name:  "acme-dns",
		needs: [][]string{{"ACME_DNS_API_BASE", "ACME_DNS_STORAGE_PATH"}, {"ACME_DNS_API_BASE", "ACME_DNS_STORAGE_BASE_URL"}},
		also:  []string{"ACME_DNS_ALLOWLIST"},
		make: func(_ context.Context, v *values) (Provider, error) {
			c := acmedns.NewDefaultConfig()
			c.APIBase = v.get("ACME_DNS_API_BASE")
			c.StoragePath = v.get("ACME_DNS_STORAGE_PATH")
			c.StorageBaseURL = v.get("ACME_DNS_STORAGE_BASE_URL")
			if list := v.get("ACME_DNS_ALLOWLIST"); list != "" {
				c.AllowList = strings.Split(list, ",")
			}
			return provider(acmedns.NewDNSProviderConfig(c))
		},
	}
}

// provider keeps a nil pointer from becoming an interface that is not nil.
func provider[P Provider](p P, err error) (Provider, error) {
	if err != nil {
		return nil, err
	}
	return p, nil
}

func azureDNS() kind {
	secret := []string{"AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"}
	return kind{
		name: "azuredns", prefix: "AZURE_",
		needs: [][]string{secret, {"AZURE_AUTH_METHOD"}},
		also: []string{
			"AZURE_ENVIRONMENT", "AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_ZONE_NAME", "AZURE_PRIVATE_ZONE",
			"AZURE_AUTH_MSI_TIMEOUT", "AZURE_SERVICEDISCOVERY_FILTER",
		},
		make: func(_ context.Context, v *values) (Provider, error) {
			c := azuredns.NewDefaultConfig()
			clouds := map[string]cloud.Configuration{
				"": cloud.AzurePublic, "public": cloud.AzurePublic, "china": cloud.AzureChina, "usgovernment": cloud.AzureGovernment,
			}
			var known bool
			if c.Environment, known = clouds[v.get("AZURE_ENVIRONMENT")]; !known {
				return nil, fmt.Errorf("AZURE_ENVIRONMENT: want public, china or usgovernment")
			}
			c.ClientID, c.ClientSecret, c.TenantID = v.get(secret[0]), v.get(secret[1]), v.get(secret[2])
			// "env" is the one method that takes a secret from here and not from the environment.
			c.AuthMethod = v.or("AZURE_AUTH_METHOD", "env")
			switch c.AuthMethod {
			case "msi", "cli":
			case "env":
				if c.ClientID == "" || c.ClientSecret == "" || c.TenantID == "" {
					return nil, fmt.Errorf("AZURE_AUTH_METHOD=env needs %s", strings.Join(secret, ", "))
				}
			default:
				return nil, fmt.Errorf("AZURE_AUTH_METHOD: want env, msi or cli")
			}
			c.AuthMSITimeout = v.seconds("AZURE_AUTH_MSI_TIMEOUT", 2*time.Second)
			c.SubscriptionID, c.ResourceGroup = v.get("AZURE_SUBSCRIPTION_ID"), v.get("AZURE_RESOURCE_GROUP")
			c.ZoneName, c.PrivateZone = v.get("AZURE_ZONE_NAME"), v.yes("AZURE_PRIVATE_ZONE")
			c.ServiceDiscoveryFilter = v.get("AZURE_SERVICEDISCOVERY_FILTER")
			c.TTL, c.PropagationTimeout, c.PollingInterval = v.ttl(c.TTL), v.propagation(c.PropagationTimeout), v.polling(c.PollingInterval)
			c.HTTPClient = v.client()
			p, err := azuredns.NewDNSProviderConfig(c)
			if err != nil {
				text := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "azuredns: ", "")), " ")
				return nil, fault.Fail("check the credentials file, and that they may list the zones; `curl -v https://login.microsoftonline.com` shows whether Azure can be reached", "azuredns: %s", text)
			}
			return p, nil
		},
	}
}

func cloudflareDNS() kind {
	return kind{
		name: "cloudflare", prefix: "CLOUDFLARE_",
		needs: [][]string{{"CLOUDFLARE_DNS_API_TOKEN"}, {"CLOUDFLARE_EMAIL", "CLOUDFLARE_API_KEY"}},
		also:  []string{"CLOUDFLARE_ZONE_API_TOKEN", "CLOUDFLARE_BASE_URL"},
		alias: map[string]string{
			"CF_API_EMAIL": "CLOUDFLARE_EMAIL", "CF_API_KEY": "CLOUDFLARE_API_KEY",
			"CF_DNS_API_TOKEN": "CLOUDFLARE_DNS_API_TOKEN", "CF_ZONE_API_TOKEN": "CLOUDFLARE_ZONE_API_TOKEN",
		},
		make: func(_ context.Context, v *values) (Provider, error) {
			c := cloudflare.NewDefaultConfig()
			c.AuthEmail, c.AuthKey = v.get("CLOUDFLARE_EMAIL"), v.get("CLOUDFLARE_API_KEY")
			c.AuthToken = v.get("CLOUDFLARE_DNS_API_TOKEN")
			c.ZoneToken = v.or("CLOUDFLARE_ZONE_API_TOKEN", c.AuthToken)
			c.BaseURL = v.get("CLOUDFLARE_BASE_URL")
			c.TTL, c.PropagationTimeout, c.PollingInterval = v.ttl(c.TTL), v.propagation(c.PropagationTimeout), v.polling(c.PollingInterval)
			c.HTTPClient = v.client()
			return provider(cloudflare.NewDNSProviderConfig(c))
		},
	}
}

func digitalOcean() kind {
	return kind{
		name: "digitalocean", prefix: "DO_",
		needs: [][]string{{"DO_AUTH_TOKEN"}},
		also:  []string{"DO_API_URL"},
		make: func(_ context.Context, v *values) (Provider, error) {
			c := digitalocean.NewDefaultConfig()
			c.AuthToken, c.BaseURL = v.get("DO_AUTH_TOKEN"), v.or("DO_API_URL", c.BaseURL)
			c.TTL, c.PropagationTimeout, c.PollingInterval = v.ttl(c.TTL), v.propagation(c.PropagationTimeout), v.polling(c.PollingInterval)
			c.HTTPClient = v.client()
			return provider(digitalocean.NewDNSProviderConfig(c))
		},
	}
}

func hetznerDNS() kind {
	return kind{
		name: "hetzner", prefix: "HETZNER_",
		needs: [][]string{{"HETZNER_API_TOKEN"}},
		make: func(_ context.Context, v *values) (Provider, error) {
			c := hetzner.NewDefaultConfig()
			c.APIToken = v.get("HETZNER_API_TOKEN")
			c.TTL, c.PropagationTimeout, c.PollingInterval = v.ttl(c.TTL), v.propagation(c.PropagationTimeout), v.polling(c.PollingInterval)
			c.HTTPClient = v.client()
			return provider(hetzner.NewDNSProviderConfig(c))
		},
	}
}

func httpRequest() kind {
	return kind{
		name: "httpreq", prefix: "HTTPREQ_",
		needs: [][]string{{"HTTPREQ_ENDPOINT"}},
		also:  []string{"HTTPREQ_MODE", "HTTPREQ_USERNAME", "HTTPREQ_PASSWORD"},
		make: func(_ context.Context, v *values) (Provider, error) {
			c := httpreq.NewDefaultConfig()
			endpoint, err := url.Parse(v.get("HTTPREQ_ENDPOINT"))
			if err != nil || endpoint.Host == "" {
				return nil, fmt.Errorf("HTTPREQ_ENDPOINT: want a URL")
			}
			c.Endpoint, c.Mode = endpoint, v.get("HTTPREQ_MODE")
			c.Username, c.Password = v.get("HTTPREQ_USERNAME"), v.get("HTTPREQ_PASSWORD")
			c.PropagationTimeout, c.PollingInterval = v.propagation(c.PropagationTimeout), v.polling(c.PollingInterval)
			c.HTTPClient = v.client()
			return provider(httpreq.NewDNSProviderConfig(c))
		},
	}
}

func tencentCloud() kind {
	return kind{
		name: "tencentcloud", prefix: "TENCENTCLOUD_",
		needs: [][]string{{"TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"}},
		also:  []string{"TENCENTCLOUD_SESSION_TOKEN", "TENCENTCLOUD_REGION"},
		make: func(_ context.Context, v *values) (Provider, error) {
			c := tencentcloud.NewDefaultConfig()
			c.SecretID, c.SecretKey = v.get("TENCENTCLOUD_SECRET_ID"), v.get("TENCENTCLOUD_SECRET_KEY")
			c.SessionToken, c.Region = v.get("TENCENTCLOUD_SESSION_TOKEN"), v.get("TENCENTCLOUD_REGION")
			c.TTL, c.PropagationTimeout, c.PollingInterval = v.ttl(c.TTL), v.propagation(c.PropagationTimeout), v.polling(c.PollingInterval)
			c.HTTPTimeout = v.httpTimeout()
			return provider(tencentcloud.NewDNSProviderConfig(c))
		},
	}
}
