// Package tests3 runs versitygw, an S3 server, for tests: a real one, built from its
// module, that keeps its buckets in a folder.
package tests3

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/s3"

	"github.com/regctl/regctl/internal/testserver"
)

// Bucket, and who may do anything with it.
const (
	Bucket    = "images"
	AccessKey = "AKIATESTROOT"
	SecretKey = "keep/this+from=all"
)

// Server is a versitygw that runs until its test ends.
type Server struct {
	URL  string // the endpoint, path style
	Root string // a folder a bucket

	t       testing.TB
	process *testserver.Process
}

// New starts the server with Bucket in it, empty, on addr; "" picks a loopback address
// for this server alone. The first call on a machine builds it, which takes a minute;
// the build is kept in Go's cache.
func New(t testing.TB, addr string) *Server {
	t.Helper()
	if addr == "" {
		addr = testserver.Loopback()
	}
	dir := t.TempDir()
	s := &Server{Root: filepath.Join(dir, "root"), t: t}
	side, iam := filepath.Join(dir, "side"), filepath.Join(dir, "iam")
	for _, d := range []string{filepath.Join(s.Root, Bucket), side, iam} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	g := testserver.Program{Module: "versitygw", Name: "versitygw", Dir: dir, Client: &http.Client{Timeout: testserver.Patience}}
	s.process = g.Start(t, func() (args []string, url string) {
		listen := net.JoinHostPort(addr, strconv.Itoa(testserver.FreePort(t, addr)))
		s.URL = "http://" + listen
		return []string{
			"--port", listen, "--access", AccessKey, "--secret", SecretKey, "--iam-dir", iam,
			"--health", "/health", "posix", "--sidecar", side, s.Root,
		}, s.URL + "/health"
	})
	return s
}

// Objects is how many files there are in Bucket.
func (s *Server) Objects() int {
	s.t.Helper()
	n, _ := s.used()
	return n
}

// Bytes is the size of all files in Bucket.
func (s *Server) Bytes() int64 {
	s.t.Helper()
	_, size := s.used()
	return size
}

func (s *Server) used() (n int, size int64) {
	s.t.Helper()
	err := s.asRoot().ListObjectsV2Pages(&s3.ListObjectsV2Input{Bucket: aws.String(Bucket)}, func(page *s3.ListObjectsV2Output, _ bool) bool {
		n += len(page.Contents)
		for _, o := range page.Contents {
			size += aws.Int64Value(o.Size)
		}
		return true
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n, size
}

// Allow makes a user who may do these things with Bucket, and no other: actions are
// IAM's names, such as s3:PutObject.
func (s *Server) Allow(access, secret string, actions ...string) {
	s.t.Helper()
	admin := exec.CommandContext(s.t.Context(), s.process.Binary, "admin", "--endpoint-url", s.URL, "--access", AccessKey, "--secret", SecretKey,
		"create-user", "--access", access, "--secret", secret, "--role", "user")
	if out, err := admin.CombinedOutput(); err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	list := ""
	for _, a := range actions {
		list += `,"` + a + `"`
	}
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["` + access + `"]},"Action":[` + list[1:] +
		`],"Resource":["arn:aws:s3:::` + Bucket + `","arn:aws:s3:::` + Bucket + `/*"]}]}`
	if _, err := s.asRoot().PutBucketPolicy(&s3.PutBucketPolicyInput{Bucket: aws.String(Bucket), Policy: aws.String(policy)}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) asRoot() *s3.S3 {
	s.t.Helper()
	sess, err := session.NewSession(&aws.Config{
		Endpoint: aws.String(s.URL), Region: aws.String("us-east-1"), S3ForcePathStyle: aws.Bool(true),
		Credentials: credentials.NewStaticCredentials(AccessKey, SecretKey, ""),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return s3.New(sess)
}

// Stop ends the server before its test does.
func (s *Server) Stop() {
	s.process.Stop()
}
