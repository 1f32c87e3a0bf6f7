package embeddedregistry

import (
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/sirupsen/logrus"
)

// lockedWriter lets the log and the access log share a writer.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// setUpLog makes logrus' standard logger, where distribution logs whatever it is
// told, what log.* says. Mail hooks of an earlier Serve go: NewApp adds this one's.
func setUpLog(c configuration.Log, out io.Writer) {
	level, err := logrus.ParseLevel(string(c.Level))
	if err != nil { // distribution's parser admits no other
		level = logrus.InfoLevel
	}
	hooks := logrus.LevelHooks{}
	if len(c.Fields) > 0 {
		hooks.Add(fieldsHook(c.Fields))
	}
	l := logrus.StandardLogger()
	l.SetLevel(level)
	l.SetReportCaller(c.ReportCaller)
	l.SetFormatter(formatter(c.Formatter))
	l.ReplaceHooks(hooks)
	l.SetOutput(out)
}

// leaveLog lets go of the writer and the mail hooks, which may not outlive Serve.
func leaveLog() {
	logrus.StandardLogger().ReplaceHooks(logrus.LevelHooks{})
	logrus.SetOutput(os.Stderr)
}

func formatter(name string) logrus.Formatter {
	switch name {
	case "json":
		return &logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano, DisableHTMLEscape: true}
	case "logstash":
		return &logrus.JSONFormatter{
			TimestampFormat: time.RFC3339Nano,
			FieldMap:        logrus.FieldMap{logrus.FieldKeyFunc: "function"},
		}
	default:
		return &logrus.TextFormatter{TimestampFormat: time.RFC3339Nano}
	}
}

// fieldsHook adds log.fields to every entry. distribution keeps them in a context
// that only its own packages can make.
type fieldsHook logrus.Fields

func (fieldsHook) Levels() []logrus.Level { return logrus.AllLevels }

func (f fieldsHook) Fire(e *logrus.Entry) error {
	data := maps.Clone(logrus.Fields(f))
	maps.Copy(data, e.Data)
	e.Data = data
	return nil
}

// errorLog takes net/http's complaints: handshakes that failed, above all. Port
// probes, which hang up before they said anything, are not worth a warning.
type errorLog struct{}

func (errorLog) Write(p []byte) (int, error) {
	line := strings.TrimSpace(string(p))
	if strings.HasSuffix(line, ": EOF") || strings.HasSuffix(line, "connection reset by peer") {
		logrus.Debug(line)
	} else {
		logrus.Warn(line)
	}
	return len(p), nil
}
