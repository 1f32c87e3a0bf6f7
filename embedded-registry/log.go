package embeddedregistry

import (
	"io"
	"maps"
	"net/http"
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
	if len(p) == 0 {
		return 0, nil // see quietFormatter
	}
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
	f := formatter(c.Formatter)
	if level < logrus.InfoLevel {
		f = quietFormatter{f}
	}
	l.SetFormatter(f)
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

// quietFormatter leaves out what distribution calls an error and is the ordinary
// course of a push: that a blob or manifest asked for is not there yet. Level info
// shows these lines again.
type quietFormatter struct{ logrus.Formatter }

func (f quietFormatter) Format(e *logrus.Entry) ([]byte, error) {
	if e.Data["http.response.status"] == http.StatusNotFound && e.Message == "response completed with error" {
		return nil, nil
	}
	return f.Formatter.Format(e)
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
