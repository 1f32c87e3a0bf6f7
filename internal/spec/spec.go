// Package spec is what the operator wants, as types: the content of regctl.yaml.
// It is pure: defaults, validation and YAML, no I/O.
package spec

// Spec is one registry as its operator wants it. Everything in it was resolved
// when init ran, so that the same file means the same registry on any day.
type Spec struct {
	Version int      `yaml:"version"` // schema of this file; 1
	Name    string   `yaml:"name"`
	Hosts   []string `yaml:"hosts"` // DNS names and IP addresses; the first is what clients use
	Port    int      `yaml:"port"`
	Bind    string   `yaml:"bind,omitempty"` // "" means all addresses, IPv4 and IPv6
	TLS     TLS      `yaml:"tls"`
	Auth    Auth     `yaml:"auth"`
	Proxy   Proxy    `yaml:"proxy,omitempty"`
	// Replicas is how many registries run side by side, behind the proxy or in the swarm;
	// 0 is 1.
	Replicas int     `yaml:"replicas,omitempty"`
	Redis    Redis   `yaml:"redis,omitempty"`
	Storage  Storage `yaml:"storage"`
	Mirror   Mirror  `yaml:"mirror,omitempty"`
	// Runtime is docker, process or swarm; never auto: that is resolved once, by init.
	Runtime     string   `yaml:"runtime"`
	Swarm       Swarm    `yaml:"swarm,omitempty"`
	Image       string   `yaml:"image,omitempty"`       // a stock registry image instead of the embedded one
	LinuxBinary string   `yaml:"linuxBinary,omitempty"` // regctl for linux, where this executable is another system's
	AddHosts    []string `yaml:"addHosts,omitempty"`    // NAME:IP lines for the container's /etc/hosts
	HTTP2       bool     `yaml:"http2,omitempty"`       // offer HTTP/2 over TLS
	// Config holds distribution's own configuration keys, in distribution's own
	// structure; it is laid over what regctl renders.
	Config map[string]any `yaml:"config,omitempty"`
}

// TLS says how the endpoint is secured.
type TLS struct {
	Mode     string `yaml:"mode"`               // selfsigned, none, files or letsencrypt
	CertDays int    `yaml:"certDays,omitempty"` // life of the leaf, in days
	CADays   int    `yaml:"caDays,omitempty"`   // life of the CA, in days
	KeyType  string `yaml:"keyType,omitempty"`  // ecdsa256, ecdsa384, rsa2048, rsa4096 or ed25519
	Cert     string `yaml:"cert,omitempty"`     // files: PEM, leaf first, then its chain
	Key      string `yaml:"key,omitempty"`      // files: PEM private key
	CACert   string `yaml:"caCert,omitempty"`   // files, letsencrypt: what clients must trust, when it is not a public CA

	// What follows is for letsencrypt alone.
	Email              string `yaml:"email,omitempty"`
	AcceptTOS          bool   `yaml:"acceptTOS,omitempty"`          // the CA's terms
	Staging            bool   `yaml:"staging,omitempty"`            // Let's Encrypt's directory for trying things out
	ACMEServer         string `yaml:"acmeServer,omitempty"`         // another CA's directory, a URL
	ACMEStaging        string `yaml:"acmeStaging,omitempty"`        // that CA's directory for trying things out
	ACMECA             string `yaml:"acmeCA,omitempty"`             // PEM: who vouches for acmeServer's own TLS
	Challenge          string `yaml:"challenge,omitempty"`          // "" is http-01
	ChallengeAddr      string `yaml:"challengeAddr,omitempty"`      // where regctl answers, "" is :80 or the registry's port
	ChallengeForwarded bool   `yaml:"challengeForwarded,omitempty"` // public port 443 leads to port
	DNSProvider        string `yaml:"dnsProvider,omitempty"`
	DNSCredentialsFile string `yaml:"dnsCredentialsFile,omitempty"`
	DNSResolver        string `yaml:"dnsResolver,omitempty"` // HOST:PORT, asked in place of the zone's own name servers
	Profile            string `yaml:"profile,omitempty"`
	PreferredChain     string `yaml:"preferredChain,omitempty"`
	EABKID             string `yaml:"eabKid,omitempty"`
	EABHMACFile        string `yaml:"eabHmacFile,omitempty"`
	SkipPreflight      bool   `yaml:"skipPreflight,omitempty"`
}

// Auth says who may come in.
type Auth struct {
	Mode  string `yaml:"mode"`            // none, htpasswd or token
	Realm string `yaml:"realm,omitempty"` // what clients are told that a password is for; "" means DefaultRealm
	// AllowPlaintext has passwords cross the network in clear, over --tls none.
	AllowPlaintext bool `yaml:"allowPlaintext,omitempty"`

	// What follows is for token alone. TokenServer is builtin, or "" for somebody
	// else's, which the rest describes.
	TokenServer  string `yaml:"tokenServer,omitempty"`
	TokenRealm   string `yaml:"tokenRealm,omitempty"`   // URL where clients ask for a token
	TokenService string `yaml:"tokenService,omitempty"` // whom tokens must be for
	TokenIssuer  string `yaml:"tokenIssuer,omitempty"`  // who they must say made them
	TokenRootCA  string `yaml:"tokenRootCA,omitempty"`  // PEM: certificates that vouch for the keys
	TokenJWKS    string `yaml:"tokenJWKS,omitempty"`    // JSON Web Key Set: the keys
	Rules        []Rule `yaml:"rules,omitempty"`        // builtin: who may do what where
}

// Rule lets some users do something in some repositories.
type Rule struct {
	Who          []string `yaml:"who,flow"`          // names; * is everybody who logged in, anonymous everybody
	Repositories []string `yaml:"repositories,flow"` // * is any text without a slash, ** any text
	Actions      []string `yaml:"actions,flow"`      // pull, push (and pull), delete
}

// HasUsers reports whether regctl's own file of users says who may come in.
func (a Auth) HasUsers() bool { return a.Mode == AuthHtpasswd || a.Builtin() }

// Builtin reports whether the embedded registry gives out the tokens that it asks for.
func (a Auth) Builtin() bool { return a.Mode == AuthToken && a.TokenServer == TokenBuiltin }

// Foreign reports whether somebody else's server gives out tokens.
func (a Auth) Foreign() bool { return a.Mode == AuthToken && a.TokenServer != TokenBuiltin }

// RealmOrDefault is the realm that clients are told.
func (a Auth) RealmOrDefault() string {
	if a.Realm == "" {
		return DefaultRealm
	}
	return a.Realm
}

// Storage says where the images are kept.
type Storage struct {
	Driver string `yaml:"driver"`           // filesystem, s3, azure, gcs, oss, swift or inmemory
	Volume string `yaml:"volume,omitempty"` // a named Docker volume instead of DIR/data
	// Shared says that DIR/data is one file system on all nodes of a swarm.
	Shared bool `yaml:"shared,omitempty"`
	// Options are the driver's parameters in distribution's own names, none of them
	// secret.
	Options map[string]any `yaml:"options,omitempty"`
}

// Values that fields take.
const (
	TLSNone       = "none"
	TLSSelfSigned = "selfsigned"
	TLSFiles      = "files"

	TLSLetsEncrypt = "letsencrypt" // or any other ACME server

	ChallengeHTTP = "http-01"
	ChallengeALPN = "tls-alpn-01"
	ChallengeDNS  = "dns-01"

	AuthNone     = "none"
	AuthHtpasswd = "htpasswd"
	AuthToken    = "token"

	TokenBuiltin = "builtin"

	RuntimeDocker  = "docker"
	RuntimeProcess = "process"
	RuntimeSwarm   = "swarm"

	StorageFilesystem = "filesystem"
	StorageInMemory   = "inmemory"
	StorageS3         = "s3"
	StorageAzure      = "azure"
	StorageGCS        = "gcs"
	StorageOSS        = "oss"   // a preset over s3
	StorageSwift      = "swift" // a preset over s3

	Version     = 1 // the schema of regctl.yaml that this package reads and writes
	DefaultName = "registry"
	DefaultPort = 5000
	// DefaultRealm is the one that distribution's own recipes have.
	DefaultRealm = "Registry Realm"
)
