package engine

import (
	"os/exec"
	"strings"
	"testing"
)

func TestCronGolden(t *testing.T) {
	for name, dir := range map[string]string{"registry.cron": "/var/lib/regctl/registry", "odd.cron": "/srv/100% o'clock"} {
		text, err := CronFile("registry", CronBoot(dir+"/bin/regctl", dir), renewed(dir).CronLines()[0])
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, text)
	}
}

func TestCronPath(t *testing.T) {
	if got := CronPath("my.registry-2"); got != "/etc/cron.d/regctl-my_registry-2" {
		t.Errorf("CronPath = %s", got)
	}
}

func TestEditCrontab(t *testing.T) {
	ours := "@reboot x # regctl:a"
	for _, tc := range []struct{ table, line, want string }{
		{"", ours, ours + "\n"},
		{"5 4 * * * job\n", ours, "5 4 * * * job\n" + ours + "\n"},
		{"5 4 * * * job", ours, "5 4 * * * job\n" + ours + "\n"},
		{"# c\n@reboot old # regctl:a\njob\n", ours, "# c\n" + ours + "\njob\n"},
		{"@reboot x # regctl:ab\n", ours, "@reboot x # regctl:ab\n" + ours + "\n"},
		{"a\n" + ours + "\nb\n", ours, "a\n" + ours + "\nb\n"},
		{"a\n" + ours + "\nb\n", "", "a\nb\n"},
		{ours + "\n", "", ""},
		{"a", "", "a"},
	} {
		if got := editCrontab(tc.table, "a", tc.line); got != tc.want {
			t.Errorf("%q with %q = %q, want %q", tc.table, tc.line, got, tc.want)
		}
	}
}

// The shell that cron starts sees the words that were meant.
func TestBootCommandQuoting(t *testing.T) {
	dir := `/srv/it's $HOME`
	command := strings.ReplaceAll(bootCommand("/bin/echo", dir), `\%`, "%")
	command, _, _ = strings.Cut(command, " >")
	out, err := exec.Command("sh", "-c", command).Output()
	if err != nil || string(out) != "start --dir "+dir+"\n" {
		t.Errorf("%s: %q, %v", command, out, err)
	}
}
