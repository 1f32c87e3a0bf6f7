package scenario

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"time"

	embeddedregistry "github.com/regctl/regctl/embedded-registry"
	"github.com/regctl/regctl/internal/fault"
	"github.com/regctl/regctl/internal/host"
	"github.com/regctl/regctl/internal/statedir"
)

const (
	// drainWrites is how long pushes that have begun may take to end.
	drainWrites = 10 * time.Minute
	// drainPoll is how often the registry is asked whether they have.
	drainPoll = 100 * time.Millisecond
	// unanswered is how long it may not answer at all.
	unanswered = 15 * time.Second
	// readonlyBy marks the file as ours: one that somebody made by hand stays.
	readonlyBy = "regctl gc"
)

// readonly has the registry refuse writes. The file says so to one that is started
// meanwhile, too.
func (r *Registry) readonly() (nonce string, err error) {
	if _, err := os.Lstat(r.Dir.Readonly()); err == nil { // ours was cleared with the lock
		return "", fault.Fail("remove it first, if writes may go on", "%s exists: somebody made the registry read-only", r.Dir.Readonly())
	}
	file := embeddedregistry.Readonly{Nonce: rand.Text(), By: readonlyBy}
	data, err := json.Marshal(file)
	if err != nil {
		return "", err
	}
	want := host.Fact{Exists: true, Data: data, Mode: 0o600, UID: r.site.place.UID, GID: r.site.place.GID}
	_, err = host.NewLocal(nil).Do(context.Background(), []host.Op{{
		Ref: fileRef(r.Dir.Readonly()), Action: host.Create, Want: want, Before: host.AnyBefore,
	}})
	return file.Nonce, err
}

// clearReadonly has the registry take writes again, if it was a gc, that was killed
// perhaps, which had it refuse them. The directory is locked.
func clearReadonly(dir statedir.Dir) error {
	data, err := readFile(dir.Readonly())
	if err != nil || data == nil {
		return err
	}
	var file embeddedregistry.Readonly
	_ = json.Unmarshal(data, &file) // what is no JSON is not ours
	if file.By != readonlyBy {
		return nil
	}
	if err := os.Remove(dir.Readonly()); err != nil && !missing(err) {
		return host.Failed("remove", dir.Readonly(), err)
	}
	return nil
}

// awaitWrites waits until the registry is read-only and nobody writes to it any more,
// or, without readonly, until it takes writes again. It returns how it stands then.
func (r *Registry) awaitWrites(ctx context.Context, nonce string, readonly bool) (now embeddedregistry.Writes, err error) {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	told := false
	heard := time.Now()
	for begun := time.Now(); ; {
		now, err = r.writes(ctx, nonce, readonly)
		switch {
		case err != nil && (fault.Hint(err) != "" || time.Since(heard) > unanswered):
			return now, err
		case err != nil:
		case now.Readonly == readonly && (!readonly || now.UnderWay == 0):
			return now, nil
		default:
			heard = time.Now()
			if !told && now.UnderWay > 0 && r.Progress != nil {
				r.Progress(fmt.Sprintf("waiting for pushes to end (%d requests)", now.UnderWay))
				told = true
			}
		}
		if time.Since(begun) > drainWrites {
			return now, fault.Fail("run the same command again when they have ended; nothing was removed",
				"after %s there are still %d requests that write", drainWrites, now.UnderWay)
		}
		select {
		case <-ctx.Done():
			return now, ctx.Err()
		case <-tick.C:
		}
	}
}

// writes asks how the registry stands with requests that write. Each of several replicas
// counts its own, and it is readonly as wanted, and asks no cache, only when all of them
// are and do.
func (r *Registry) writes(ctx context.Context, nonce string, readonly bool) (all embeddedregistry.Writes, err error) {
	if r.Spec.Count() == 1 {
		return behind(r.Spec).Writes(ctx, nonce)
	}
	all.Readonly, all.Uncached = readonly, true
	for n := 1; n <= r.Spec.Count(); n++ {
		one, err := replicaEndpoint(r.Spec, n).Writes(ctx, nonce)
		if err != nil {
			return all, fmt.Errorf("%s: %w", replicaName(r.Spec, n), err)
		}
		all.UnderWay += one.UnderWay
		all.Uncached = all.Uncached && one.Uncached
		if one.Readonly != readonly {
			all.Readonly = one.Readonly
		}
	}
	return all, nil
}
