package canaryimage

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"
)

// A registry that is several, none of which sees a folder of the command's, cannot be
// told by a file. It is asked by the image's name: Repository, a slash and a word that
// only who knows the secret that they share can have made. Each of them makes the same
// image of it, so that a pull may go to one and another in turn.

// User opens a canary, with a password made for it.
const User = "regctl-canary"

// SignedTag is the one tag of an image that is asked for by its name.
const SignedTag = "canary"

const (
	nonceSize = 10
	bodySize  = 8 + nonceSize // when it ends, in seconds, and the nonce
	macSize   = 16
	wordSize  = 2 * (bodySize + macSize)
)

// Sign makes the word that asks for the image of a nonce until it expires, by the whole
// second, and the password that goes with it where the registry asks for one.
func Sign(secret string, nonce [nonceSize]byte, expires time.Time) (word, password string) {
	body := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	body = append(body, nonce[:]...)
	word = hex.EncodeToString(append(body, mac(secret, "word", body)...))
	return word, passwordOf(secret, word)
}

// Signed is what a word asks for; not ok where the secret has not made it. Whether it has
// expired is for the caller to see.
func Signed(secret, word string) (f File, ok bool) {
	data, err := hex.DecodeString(word)
	if err != nil || secret == "" || len(data) != bodySize+macSize || strings.ToLower(word) != word {
		return File{}, false
	}
	body := data[:bodySize]
	if !hmac.Equal(data[bodySize:], mac(secret, "word", body)) {
		return File{}, false
	}
	return File{
		Version: Version, Tag: SignedTag, Nonce: hex.EncodeToString(body[8:]),
		Expires:    time.Unix(int64(binary.BigEndian.Uint64(body)), 0).UTC(),
		Credential: Credential(User, passwordOf(secret, word)),
	}, true
}

// WordOf is the word in the name of a repository, "" where there is none.
func WordOf(repository string) string {
	word, ok := strings.CutPrefix(repository, Repository+"/")
	if !ok || len(word) != wordSize || strings.Trim(word, "0123456789abcdef") != "" {
		return ""
	}
	return word
}

func passwordOf(secret, word string) string {
	return hex.EncodeToString(mac(secret, "password", []byte(word)))
}

func mac(secret, what string, data []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte("regctl canary " + what + "\x00"))
	h.Write(data)
	return h.Sum(nil)[:macSize]
}
