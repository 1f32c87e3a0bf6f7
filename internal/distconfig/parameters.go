package distconfig

import "slices"

// addParameters names the keys of what distribution's types leave open. The
// source of each is the code that reads it, in distribution v3.1.2:
// registry/handlers/app.go, registry/storage/driver/*, registry/auth/*.
func addParameters(root *key) {
	addStorage(root.keys["storage"])
	addAuth(root.keys["auth"])
	addMiddleware(root)
}

// sections are the keys of storage that do not choose a driver.
var sections = []string{"cache", "delete", "maintenance", "redirect", "tag"}

func (k *key) drivers() []string {
	return slices.DeleteFunc(slices.Clone(k.order), func(name string) bool {
		return slices.Contains(sections, name)
	})
}

func addStorage(storage *key) {
	filesystem := storage.add("filesystem", mapping())
	filesystem.texts("rootdirectory", "useragent")
	filesystem.rules(number, "maxthreads")
	storage.add("inmemory", mapping()).texts("useragent")
	for _, name := range []string{"s3", "s3aws"} {
		addS3(storage.add(name, mapping()))
	}
	addAzure(storage.add("azure", mapping()))
	addGCS(storage.add("gcs", mapping()))

	storage.add("delete", mapping()).rules(boolean, "enabled")
	redirect := storage.add("redirect", mapping())
	redirect.rules(boolean, "disable")
	redirect.need = []string{"disable"}
	cache := storage.add("cache", mapping())
	cache.rules(oneOf("redis", "inmemory", ""), "blobdescriptor", "layerinfo")
	cache.rules(number, "blobdescriptorsize")
	storage.add("tag", mapping()).rules(count, "concurrencylimit")

	maintenance := storage.add("maintenance", mapping())
	purging := maintenance.add("uploadpurging", mapping())
	purging.rules(boolean, "enabled", "dryrun")
	purging.rules(durationText, "age", "interval")
	purging.need, purging.unless = []string{"age", "interval", "dryrun"}, "enabled"
	maintenance.add("readonly", mapping()).rules(boolean, "enabled")
}

func addS3(s3 *key) {
	s3.texts("accesskey", "secretkey", "region", "regionendpoint", "keyid",
		"rootdirectory", "useragent", "redirectendpoint")
	s3.rules(nonEmpty, "bucket")
	s3.rules(booleanText, "forcepathstyle", "accelerate", "encrypt", "secure", "skipverify",
		"v4auth", "usedualstack", "usefipsendpoint")
	s3.rules(number, "chunksize", "multipartcopychunksize", "multipartcopymaxconcurrency",
		"multipartcopythresholdsize")
	s3.rules(stringOnly, "storageclass", "objectacl")
	s3.texts("loglevel")
	s3.need = []string{"bucket"}
}

func addAzure(azure *key) {
	azure.rules(stringOnly, "accountname", "accountkey", "container", "connectionstring", "realm",
		"rootdirectory", "serviceurl", "retry_delay")
	azure.rules(count, "max_retries")
	azure.rules(boolean, "skipverify")
	azure.texts("useragent")
	credentials := azure.add("credentials", mapping())
	credentials.rules(oneOf("client_secret", "shared_key", "default_credentials"), "type")
	credentials.rules(stringOnly, "clientid", "tenantid", "secret")
	azure.need = []string{"accountname", "container"}
}

func addGCS(gcs *key) {
	gcs.texts("keyfile", "rootdirectory", "useragent")
	gcs.rules(nonEmpty, "bucket")
	gcs.rules(number, "chunksize", "maxconcurrency")
	// Google's service account file, written as YAML.
	gcs.add("credentials", &key{each: &key{}})
	gcs.need = []string{"bucket"}
}

func addAuth(auth *key) {
	silly := auth.add("silly", mapping())
	silly.rules(stringOnly, "realm", "service")
	silly.need = []string{"realm", "service"}

	token := auth.add("token", mapping())
	token.rules(stringOnly, "realm", "service", "issuer", "rootcertbundle", "jwks", "autoredirectpath")
	token.rules(boolean, "autoredirect")
	token.add("signingalgorithms", &key{list: true, each: &key{rule: oneOf("EdDSA", "HS256", "HS384", "HS512",
		"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")}})
	token.need = []string{"realm", "service", "issuer"}

	htpasswd := auth.add("htpasswd", mapping())
	htpasswd.rules(stringOnly, "realm", "path")
	htpasswd.need = []string{"realm", "path"}
	auth.add("none", mapping())
	auth.single = auth.order
}

func addMiddleware(root *key) {
	element := root.keys["middleware"].each.each
	cloudfront := mapping()
	cloudfront.rules(stringOnly, "baseurl", "privatekey", "keypairid", "awsregion", "iprangesurl")
	cloudfront.rules(oneOf("none", "aws", "awsregion"), "ipfilteredby")
	cloudfront.rules(durationText, "duration", "updatefrequency", "updatefrenquency")
	cloudfront.need = []string{"baseurl", "privatekey", "keypairid"}
	redirect := mapping()
	redirect.rules(stringOnly, "baseurl")
	redirect.need = []string{"baseurl"}
	rewrite := mapping()
	rewrite.rules(stringOnly, "scheme", "host", "trimpathprefix")

	element.keys["options"].named = map[string]*key{
		"cloudfront": cloudfront, "redirect": redirect, "rewrite": rewrite,
	}
	// applyStorageMiddleware and its like never look at this one.
	element.keys["disabled"].rule = func(text string, value any) string {
		if problem := boolean(text, value); problem != "" || value == false {
			return problem
		}
		return "distribution leaves the middleware on all the same; remove its entry"
	}
	points := root.add("middleware", mapping())
	for _, name := range []string{"registry", "repository", "storage"} {
		points.add(name, &key{list: true, each: element})
	}
}

// addRules narrows scalars whose Go type says too little.
func addRules(root *key) {
	for path, r := range map[string]rule{
		"version":       oneOf("0.1"),
		"log.formatter": oneOf("text", "json", "logstash"),
		// Other types of hook do nothing.
		"log.hooks[].type":                  oneOf("mail"),
		"log.hooks[].levels[]":              logLevel,
		"http.net":                          oneOf("tcp", "unix", ""),
		"http.host":                         address,
		"http.tls.minimumtls":               oneOf("tls1.0", "tls1.1", "tls1.2", "tls1.3"),
		"validation.manifests.urls.allow[]": regular,
		"validation.manifests.urls.deny[]":  regular,
	} {
		root.at(path).also(r)
	}
}

// rules adds scalars that share one rule.
func (k *key) rules(r rule, names ...string) {
	for _, name := range names {
		k.add(name, &key{rule: r})
	}
}

// texts adds scalars of which distribution makes text, whatever they are.
func (k *key) texts(names ...string) {
	for _, name := range names {
		k.add(name, &key{text: true, rule: func(string, any) string { return "" }})
	}
}

// also asks a second rule where the first finds nothing.
func (k *key) also(second rule) {
	first := k.rule
	k.rule = func(text string, value any) string {
		if problem := first(text, value); problem != "" {
			return problem
		}
		return second(text, value)
	}
}
