package engine

// Status is how a registry is, as its runtime sees it.
type Status struct {
	State   string // running, stopped, failing (it ends and is started again) or absent
	Healthy bool   // the runtime's own health check succeeded last
	Image   string // what it runs from
	Detail  string // for people: a pid, an exit status
}
