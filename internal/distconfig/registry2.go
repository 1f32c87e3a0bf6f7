package distconfig

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// What distribution 2.8 (docker/distribution v2.8.3) reads otherwise than 3.

// renamed maps registry 2's keys to those of distribution 3. The settings of
// its pool are those that distribution's own config-cache.yml carried over.
var renamed = []struct{ old, new string }{
	{"redis.addr", "redis.addrs"},
	{"redis.pool.maxidle", "redis.maxidleconns"},
	{"redis.pool.maxactive", "redis.poolsize"},
	{"redis.pool.idletimeout", "redis.connmaxidletime"},
}

// only3 are the keys that distribution 3 added.
var only3 = []string{
	"log.reportcaller", "tags", "http.h2c", "http.tls.clientauth", "http.tls.letsencrypt.directoryurl",
	"storage.tag", "storage.cache.blobdescriptorsize",
	"storage.azure.credentials", "storage.azure.connectionstring", "storage.azure.rootdirectory",
	"storage.azure.serviceurl", "storage.azure.max_retries", "storage.azure.retry_delay", "storage.azure.skipverify",
	"storage.s3.forcepathstyle", "storage.s3.accelerate", "storage.s3.usedualstack",
	"storage.s3.usefipsendpoint", "storage.s3.loglevel", "storage.s3.redirectendpoint",
	"proxy.exec", "proxy.ttl", "proxy.cachewritetimeout", "redis.tls", "validation.manifests.indexes",
	"auth.token.jwks", "auth.token.signingalgorithms", "auth.token.autoredirectpath",
}

// redis2 are the keys of redis that both know.
var redis2 = []string{"password", "db", "dialtimeout", "readtimeout", "writetimeout"}

// addRegistry2 adds the keys that only 2.8 knows.
func addRegistry2(root *key) {
	text, number, duration := reflect.TypeFor[string](), reflect.TypeFor[int](), reflect.TypeFor[time.Duration]()
	yes := reflect.TypeFor[bool]()
	redis := root.keys["redis"]
	redis.add("addr", leaf(text))
	pool := redis.add("pool", mapping())
	pool.add("maxidle", leaf(number))
	pool.add("maxactive", leaf(number))
	pool.add("idletimeout", leaf(duration))

	schema1 := root.add("compatibility", mapping()).add("schema1", mapping())
	schema1.add("signingkeyfile", leaf(text))
	schema1.add("enabled", leaf(yes))
	reporting := root.add("reporting", mapping())
	bugsnag := reporting.add("bugsnag", mapping())
	newrelic := reporting.add("newrelic", mapping())
	for _, name := range []string{"apikey", "releasestage", "endpoint"} {
		bugsnag.add(name, leaf(text))
	}
	newrelic.add("licensekey", leaf(text))
	newrelic.add("name", leaf(text))
	newrelic.add("verbose", leaf(yes))

	storage := root.keys["storage"]
	storage.add("swift", &key{each: &key{}})
	storage.add("oss", &key{each: &key{}})
}

// retireRegistry2 knows 2.8's own keys by name, as things of the past.
func retireRegistry2(root *key) {
	addRegistry2(root)
	for _, r := range renamed {
		root.at(r.old).renamed = r.new
	}
	root.at("compatibility").gone = "distribution 3 has no schema 1 manifests, nor this section"
	root.at("reporting").gone = "distribution 3 reports to neither Bugsnag nor New Relic"
	for _, driver := range []string{"swift", "oss"} {
		root.at("storage." + driver).gone = "distribution 3 has no " + driver +
			" driver; use s3 with that store's S3-compatible regionendpoint"
	}
}

func limitToRegistry2(root *key) {
	addRegistry2(root)
	const gone = "registry 2 does not know this key; it came with distribution 3"
	for _, path := range only3 {
		root.at(path).gone = gone
		if rest, isS3 := strings.CutPrefix(path, "storage.s3."); isS3 {
			root.at("storage.s3aws." + rest).gone = gone
		}
	}
	redis := root.keys["redis"]
	for _, name := range redis.order {
		if name != "addr" && name != "pool" && !slices.Contains(redis2, name) {
			redis.keys[name].gone = gone
		}
	}
}
