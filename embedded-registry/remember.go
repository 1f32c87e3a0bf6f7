package embeddedregistry

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

const (
	// rememberFor is how long a credential that nobody uses is remembered.
	rememberFor = 10 * time.Minute
	// rememberMost bounds the memory, some 2 MB.
	rememberMost = 16384
)

// credential is an HMAC under a key that this process made up and that leaves it in no
// way, of a user, a password and that user's hash in the file: with the hash changed
// it is another one, so a change to the file makes it forget that user alone.
type credential [sha256.Size]byte

// cache remembers credentials that were right.
type cache struct {
	secret [32]byte

	mu    sync.Mutex
	known map[credential]*list.Element
	order *list.List // of entries, the one used last first
	now   func() time.Time
}

type entry struct {
	credential credential
	until      time.Time
	claims     *claims // of a token
}

func newCache() *cache {
	c := &cache{known: map[credential]*list.Element{}, order: list.New(), now: time.Now}
	_, _ = rand.Read(c.secret[:]) // it never fails
	return c
}

// key writes the length before each part, so that no two credentials give one text.
func (c *cache) key(parts ...string) (sum credential) {
	mac := hmac.New(sha256.New, c.secret[:])
	for _, p := range parts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		mac.Write(size[:])
		mac.Write([]byte(p))
	}
	mac.Sum(sum[:0])
	return sum
}

// has also counts as a use.
func (c *cache) has(k credential) bool { return c.find(k) != nil }

// token is what a token said whose signature was right, nil if it is not known. It is
// not to be changed.
func (c *cache) token(k credential) *claims {
	if e := c.find(k); e != nil {
		return e.claims
	}
	return nil
}

func (c *cache) find(k credential) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.known[k]
	if at == nil {
		return nil
	}
	now, e := c.now(), at.Value.(*entry)
	if now.After(e.until) {
		c.drop(at)
		return nil
	}
	e.until = now.Add(rememberFor)
	c.order.MoveToFront(at)
	return e
}

func (c *cache) add(k credential) { c.addToken(k, nil) }

func (c *cache) addToken(k credential, said *claims) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.known[k]; at != nil {
		c.drop(at)
	}
	c.known[k] = c.order.PushFront(&entry{k, c.now().Add(rememberFor), said})
	if c.order.Len() > rememberMost {
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(at *list.Element) {
	delete(c.known, c.order.Remove(at).(*entry).credential)
}
