package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/regctl/regctl/internal/htpasswd"
)

type userListResult struct {
	SchemaVersion int        `json:"schemaVersion"`
	Users         []listUser `json:"users"`
}

type listUser struct {
	Name       string `json:"name"`
	BcryptCost int    `json:"bcryptCost"` // 0: another kind of hash, which lets nobody in
}

func newUserList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Name those who may come in",
		Args:  args(cobra.NoArgs),
		RunE:  func(*cobra.Command, []string) error { return a.userList() },
	}
}

func (a *app) userList() error {
	r, err := a.findExisting()
	if err != nil {
		return err
	}
	on, err := r.HasUsers()
	if err != nil {
		return err
	}
	result := userListResult{1, []listUser{}}
	if on {
		f, err := r.Users()
		if err != nil {
			return err
		}
		for _, u := range f.Users() {
			result.Users = append(result.Users, listUser{u.Name, htpasswd.Cost(u.Hash)})
		}
		a.warnOfUsers(r, f)
	} else {
		a.ui.Say("the registry asks nobody for a password: regctl user add NAME has it do so")
	}
	return a.ui.Result(result, func(w io.Writer) {
		for _, u := range result.Users {
			fmt.Fprintln(w, u.Name)
		}
	})
}
