package cli

import (
	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/spec"
)

func newApply(a *app) *cobra.Command {
	var file string
	var dryRun, retain, skip bool
	var nodes nodeFlags
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Make the registry what regctl.yaml says",
		Long: `Make the registry what DIR/regctl.yaml says, changing only what differs. When
something fails, what was changed is put back. With -f the file given takes the
place of DIR/regctl.yaml first; where there is no registry yet, it is created.

When clients are to trust the registry by something else - TLS in place of plain HTTP
or back, another CA, a public CA - the hosts that trust it are brought along: each is
given what is to come beside what it has, and proves that it pulls on; then the
registry changes; then what was before leaves them. A host that is not ready stops it
before the change, with exit status 3. What cannot be proven before - a public CA, a
new port or first name - is proven right after it.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var data []byte
			if file != "" {
				var err error
				if data, err = a.readInput(file); err != nil {
					return err
				}
			}
			o := applyOptions{command: "regctl apply", dryRun: dryRun, retain: retain, skip: skip}
			return settled(func() error { return a.runApply(cmd, file, data, &nodes, o) })
		},
	}
	nodes.register(cmd)
	f := cmd.Flags()
	f.StringVarP(&file, "file", "f", "", "take this regctl.yaml (- for standard input) in place of the one there is")
	f.BoolVar(&dryRun, "dry-run", false, "print what would change, and change nothing")
	f.BoolVar(&retain, "retain", false, "after a failure leave what was changed, to look at")
	f.BoolVar(&skip, "skip-unreachable", false, "go on even if hosts that trust the registry cannot be reached")
	return cmd
}

func (a *app) runApply(cmd *cobra.Command, file string, data []byte, nodes *nodeFlags, o applyOptions) error {
	find := a.findExisting
	if file != "" {
		find = a.find
	}
	r, err := find()
	if err != nil {
		return err
	}
	if file != "" {
		want, err := spec.Parse(file, data)
		if err != nil {
			return err
		}
		if err := r.WantFile(want, data); err != nil {
			return err
		}
	}
	if err := nodes.over(cmd, a, r); err != nil {
		return err
	}
	changed, err := a.apply(cmd.Context(), r, o)
	if err != nil || o.dryRun {
		return err
	}
	if !changed {
		a.ui.Say("nothing to do: %s is as wanted", r.Dir)
	}
	a.sayBehind(r)
	return a.showInit(r, changed, nil)
}
