{{- define "sidelight.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "sidelight.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sidelight.labels" -}}
{{ include "sidelight.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "sidelight.serviceAccountName" -}}
{{- $own := ternary (include "sidelight.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $own .Values.serviceAccount.name -}}
{{- end }}

{{/* sidelight.yaml. A reference that is a whole value keeps its quotes: it is text, whatever the variable holds. */}}
{{- define "sidelight.config" -}}
{{- regexReplaceAll "(?m)(: |- )(\\$\\{.*\\})$" (toYaml .Values.config) "${1}\"${2}\"" -}}
{{- end }}

{{/* The port of an address of the config: "0.0.0.0:4000" → 4000. */}}
{{- define "sidelight.port" -}}
{{- splitList ":" . | last -}}
{{- end }}

{{/* Where the page of metrics is, or nothing. */}}
{{- define "sidelight.metricsPort" -}}
{{- range $name, $options := .Values.config.exporters -}}
{{- if eq $name "prometheus" }}{{ include "sidelight.port" $options.listen }}{{ end -}}
{{- end -}}
{{- end }}

{{/* What no schema can say. */}}
{{- define "sidelight.check" -}}
{{- if and .Values.persistence.enabled (or .Values.autoscaling.enabled (gt (int .Values.replicas) 1)) -}}
{{- fail "persistence: a store has one writer; set replicas to 1 and turn autoscaling off, or turn persistence off" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not (include "sidelight.metricsPort" .)) -}}
{{- fail "serviceMonitor: there is no page to read; set config.exporters.prometheus.listen" -}}
{{- end -}}
{{- end }}
