package embeddedregistry

import (
	"runtime"
	"sync"
)

// bcryptSlots is how many bcrypts may run at once: a core is left for those who are in.
// The scheduler is given as many threads more. What a bcrypt's thread yields would
// otherwise be a core that Go counts as busy.
var bcryptSlots = sync.OnceValue(func() int {
	cores := runtime.GOMAXPROCS(0)
	slots := max(1, cores-1)
	runtime.GOMAXPROCS(cores + slots)
	return slots
})

// yielding runs f on a thread that gives way to all others here while there is not
// enough of a core for everybody: a flood of wrong passwords then takes what requests
// leave. The thread ends with f.
func yielding(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked, which ends it
		beNice()
		f()
	}()
	<-done
}
