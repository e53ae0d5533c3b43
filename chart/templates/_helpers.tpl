{{- define "lxcfs.name" -}}
{{ default .Release.Name .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end -}}

{{- define "lxcfs.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "lxcfs.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "lxcfs.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- /* What mode "auto" comes to on this cluster. */ -}}
{{- define "lxcfs.mode" -}}
{{- if ne .Values.injection.mode "auto" -}}
{{ .Values.injection.mode }}
{{- else if .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
policy
{{- else -}}
webhook
{{- end -}}
{{- end -}}

{{- /* What the agent's own attaching comes to: with mounts in the pods only mode "auto" adds it. */ -}}
{{- define "lxcfs.attach" -}}
{{- if or (eq .Values.injection.mode "attach") (eq .Values.injection.mode "auto") -}}
{{ .Values.agent.attach }}
{{- else -}}
off
{{- end -}}
{{- end -}}

{{- define "lxcfs.tlsSecret" -}}
{{ default (printf "%s-webhook-tls" (include "lxcfs.name" .)) .Values.webhook.certificates.secretName }}
{{- end -}}

{{- /* Namespaces of pods that are never touched, as a JSON list. */ -}}
{{- define "lxcfs.skipNamespaces" -}}
{{ toJson (append .Values.injection.skipNamespaces .Release.Namespace) }}
{{- end -}}

{{- /* The namespaces an entry of the webhook or a policy is for. Takes a dict: root, key, value. */ -}}
{{- define "lxcfs.namespaceSelector" -}}
{{- with .key }}
matchLabels:
  {{ . }}: {{ $.value | quote }}
{{- end }}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values: {{ include "lxcfs.skipNamespaces" .root }}
  # hostPath volumes are refused there: the agent attaches instead.
  - key: pod-security.kubernetes.io/enforce
    operator: NotIn
    values: [baseline, restricted]
  - key: lxcfs.io/inject
    operator: NotIn
    values: [disabled]
{{- end -}}
