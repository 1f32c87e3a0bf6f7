package embeddedregistry

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/aws/aws-sdk-go/aws/awserr"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"

	"github.com/regctl/regctl/internal/fault"
)

// explain says in one line what the storage refused or why it was not reached, and
// what mends that.
func (p probe) explain(c call, err error) error {
	code, cause := unwrapStorage(err)
	say := func(hint, format string, args ...any) error {
		return fault.Fail(hint, "storage: %s: %s", p.where(), fmt.Sprintf(format, args...))
	}
	switch meaning[code] {
	case denied:
		return say(p.permissionHint(c), "not allowed to %s an object (%s)", c.verb, code)
	case badKey:
		return say("look at the keys in --storage-secret-file, or in DIR/secrets/storage", "the key is not accepted (%s)", code)
	case noBucket:
		return say("make it, or mend the name in storage.options", "there is no such bucket or container (%s)", code)
	case skewed:
		return say("set the clock: timedatectl set-ntp true", "this machine's clock and the storage's differ too much (%s)", code)
	case wrongRegion:
		return say("set region and regionendpoint to the bucket's own", "the bucket is in another region, or at another endpoint (%s)", code)
	case noKeys:
		return say("give --storage-secret-file FILE with accesskey=... and secretkey=..., or run it where the machine has a role", "no keys were given, and the machine has no role (%s)", code)
	}
	return p.explainNetwork(c, code, cause, say)
}

// explainNetwork is for what came from no storage's own list of errors.
func (p probe) explainNetwork(c call, code string, cause error, say func(hint, format string, args ...any) error) error {
	const endpoint = "look at regionendpoint or serviceurl in storage.options, and at what is between here and there"
	var (
		dns      *net.DNSError
		op       *net.OpError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
	)
	switch {
	case errors.As(cause, &dns):
		return say(endpoint, "the endpoint's name %s is not found", dns.Name)
	case errors.As(cause, &unknown), errors.As(cause, &hostname):
		return say("the registry trusts public CAs alone; skipverify=true takes any certificate", "the endpoint's certificate is not trusted: %s", oneLine(cause))
	case errors.As(cause, &op):
		return say(endpoint, "the endpoint cannot be reached: %v", op)
	case strings.Contains(cause.Error(), "dial tcp "): // printed into an error of the driver's
		_, why, _ := strings.Cut(oneLine(cause), "dial tcp ")
		return say(endpoint, "the endpoint cannot be reached: dial tcp %s", why)
	case errors.Is(cause, context.DeadlineExceeded), code == "RequestCanceled":
		return say(endpoint, "the endpoint did not answer within %s", preflightTime)
	case code == "NotFound", code == "SerializationError", strings.Contains(cause.Error(), "server gave HTTP response to HTTPS client"):
		return say(endpoint, "what answers at the endpoint is no such storage: %s", oneLine(cause))
	}
	return say(endpoint, "cannot %s an object: %s", c.verb, oneLine(cause))
}

func (p probe) permissionHint(c call) string {
	switch p.driverName {
	case "azure":
		return "give it the role Storage Blob Data Contributor on the container"
	case "gcs":
		return "give it the role Storage Object Admin on the bucket"
	}
	return "allow " + c.permission + "; docs/storage.md has the whole policy"
}

// What a storage may mean, whatever it calls it.
const (
	denied = iota + 1
	badKey
	noBucket
	skewed
	wrongRegion
	noKeys
)

// meaning of the codes in S3's and Azure's lists of errors; Forbidden and NotFound are
// what the answer to a HEAD, which has no body, is called.
var meaning = map[string]int{
	"AccessDenied": denied, "Forbidden": denied, "AllAccessDisabled": denied,
	"AuthorizationFailure": denied, "AuthorizationPermissionMismatch": denied, "InsufficientAccountPermissions": denied,
	"InvalidAccessKeyId": badKey, "SignatureDoesNotMatch": badKey, "AuthenticationFailed": badKey,
	"XAdminUserNotFound": badKey, // versitygw's InvalidAccessKeyId
	"InvalidToken":       badKey, "ExpiredToken": badKey,
	"NoSuchBucket": noBucket, "InvalidBucketName": noBucket, "ContainerNotFound": noBucket, "ContainerBeingDeleted": noBucket,
	"RequestTimeTooSkewed":           skewed,
	"PermanentRedirect":              wrongRegion,
	"BucketRegionError":              wrongRegion,
	"AuthorizationHeaderMalformed":   wrongRegion,
	"IllegalLocationConstraintError": wrongRegion,
	"NoCredentialProviders":          noKeys,
}

// printedCode finds the code in what Azure's and S3's drivers print into errors of
// their own.
var printedCode = regexp.MustCompile(`(?:ERROR CODE: |Code: ")(\w+)`)

// unwrapStorage gets at the storage's own code, if it sent one, and at what lies below
// the drivers' wrappings, which know no Unwrap.
func unwrapStorage(err error) (code string, cause error) {
	cause = err
	var wrapped storagedriver.Error
	for errors.As(cause, &wrapped) {
		cause = wrapped.Detail
	}
	var azure *azcore.ResponseError
	if errors.As(cause, &azure) {
		return azure.ErrorCode, cause
	}
	for {
		var aws awserr.Error
		if !errors.As(cause, &aws) {
			break
		}
		code = aws.Code()
		if aws.OrigErr() == nil {
			break
		}
		cause = aws.OrigErr()
	}
	if m := printedCode.FindStringSubmatch(cause.Error()); code == "" && m != nil {
		code = m[1]
	}
	return code, cause
}

// oneLine shortens what SDKs write over many.
func oneLine(err error) string {
	line := strings.Join(strings.Fields(err.Error()), " ")
	if len(line) > 300 {
		line = line[:300] + "..."
	}
	return line
}
