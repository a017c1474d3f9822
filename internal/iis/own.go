package iis

import (
	_ "embed" // types.txt
	"slices"
	"strings"
)

// This file is what IIS has without being told: it means the same whether it stands in a file or not.

//go:embed types.txt
var typesText string // a type, and the extensions that IIS gives it, a line

// ownTypes are IIS's types of files by extension, all in lower case.
func ownTypes() map[string]string {
	types := map[string]string{}
	for line := range strings.Lines(typesText) {
		words := strings.Fields(line)
		for _, ext := range words[1:] {
			types["."+ext] = words[0]
		}
	}
	return types
}

func ownDocuments() []string {
	return []string{"Default.htm", "Default.asp", "index.htm", "index.html", "iisstart.htm"}
}

func ownSegments() []string {
	return []string{"web.config", "bin", "App_code", "App_GlobalResources", "App_LocalResources", "App_WebReferences", "App_Data", "App_Browsers"}
}

func ownExtensions() []string {
	return strings.Fields(`.asa .asax .ascx .master .skin .browser .sitemap .config .cs .csproj .vb .vbproj .webinfo .licx .resx .resources
		.mdb .vjsproj .java .jsl .ldb .dsdgm .ssdgm .lsad .ssmap .cd .dsprototype .lsaprototype .sdm .sdmdocument .mdf .ldf .ad .dd .ldd
		.sd .adprototype .lddprototype .exclude .refresh .compiled .msgx .vsdisco .rules`)
}

// ownModules are the native modules that IIS comes with, and those of Microsoft that this package reads the settings of.
func ownModules() []string {
	return strings.Fields(`HttpLoggingModule UriCacheModule FileCacheModule TokenCacheModule HttpCacheModule DynamicCompressionModule
		StaticCompressionModule DefaultDocumentModule DirectoryListingModule ProtocolSupportModule HttpRedirectionModule
		ServerSideIncludeModule StaticFileModule AnonymousAuthenticationModule CertificateMappingAuthenticationModule
		UrlAuthorizationModule BasicAuthenticationModule WindowsAuthenticationModule DigestAuthenticationModule
		IISCertificateMappingAuthenticationModule IpRestrictionModule DynamicIpRestrictionModule RequestFilteringModule
		CustomLoggingModule CustomErrorModule IsapiModule IsapiFilterModule CgiModule FastCgiModule TracingModule
		FailedRequestsTracingModule RequestMonitorModule ManagedEngine ManagedEngine64 ManagedEngineV4.0_32bit ManagedEngineV4.0_64bit
		ManagedEngineV2.0_32bit ManagedEngineV2.0_64bit RewriteModule ApplicationRequestRouting AspNetCoreModule AspNetCoreModuleV2 httpPlatformHandler iisnode
		WebSocketModule ConfigurationValidationModule ApplicationInitializationModule CorsModule WebDAVModule HttpCacheModule
		CachingModule ExternalCache WebMatrixSupportModule`)
}

// isOwnHandler tells whether an entry of <handlers> is one that IIS comes with: ASP.NET, ASP, ISAPI, CGI and files.
func isOwnHandler(name, modules, kind, processor string) bool {
	name = strings.ToLower(name)
	switch {
	case strings.HasPrefix(kind, "System."), strings.Contains(processor, "aspnet_isapi.dll"), strings.HasSuffix(processor, `inetsrv\asp.dll`):
		return true
	case strings.HasPrefix(kind, "Microsoft.Web.AspNet"), strings.HasPrefix(kind, "System.Web"):
		return true
	}
	for _, own := range []string{"tracev", "optionsv", "propfindv", "staticfile", "webdav", "isapi-dll", "cgi-exe", "ssinc-", "securitycertificate", "extensionless", "rulesxml", "xamlx", "svc-", "asp"} {
		if strings.HasPrefix(name, own) && modules != "aspnetcoremodule" && modules != "aspnetcoremodulev2" && modules != "fastcgimodule" {
			return true
		}
	}
	return modules == "protocolsupportmodule" || modules == "managedpipelinehandler"
}

// machinery are parts of the configuration that have nothing to do with what a site serves.
func machinery() []string {
	return []string{
		"configSections", "configProtectedData", "moduleProviders", "administrators", "management",
		"system.applicationHost/customMetadata", "system.applicationHost/listenerAdapters", "system.applicationHost/log",
		"system.applicationHost/webLimits", "system.applicationHost/configHistory", "system.applicationHost/serviceAutoStartProviders",
		"system.webServer/globalModules", "system.webServer/isapiFilters", "system.webServer/tracing", "system.webServer/odbcLogging",
		"system.webServer/httpTracing", "system.webServer/asp", "system.webServer/cgi", "system.webServer/validation",
		"system.webServer/security/isapiCgiRestriction", "system.webServer/security/applicationDependencies",
		"system.webServer/serverSideInclude", "system.webServer/webdav", "system.webServer/diskCache", "system.webServer/websocket", "system.webServer/management", "system.webServer/rewrite/allowedServerVariables",
	}
}

// isMachinery tells whether an element that nobody has read needs no word.
func isMachinery(n *node) bool {
	where := n.where()
	for _, m := range machinery() {
		if where == m || strings.HasPrefix(where, m+"/") {
			return true
		}
	}
	server := strings.EqualFold(pathBase(n.doc.name), "applicationHost.config") && !inLocation(n)
	switch {
	case strings.HasSuffix(where, "/traceFailedRequestsLogging"), where == "system.webServer/modules/remove", where == "system.webServer/modules/clear", strings.HasSuffix(where, "/clear"):
		return true
	case where == "system.webServer/modules/add":
		return isOwnModule(n)
	case server && (where == "system.webServer/httpCompression" || where == "system.webServer/caching" || where == "system.webServer/serverRuntime"):
		return true // what IIS does for its speed
	case where == "webFarms/applicationRequestRouting":
		return true
	}
	return false
}

func inLocation(n *node) bool {
	for ; n != nil; n = n.parent {
		if n.name == "location" && n.peek("path") != "" {
			return true
		}
	}
	return false
}

func isOwnModule(n *node) bool {
	kind := n.peek("type")
	if kind == "" {
		return has(ownModules(), n.peek("name"))
	}
	return strings.HasPrefix(kind, "System.Web.") || strings.HasPrefix(kind, "System.ServiceModel.") || strings.HasPrefix(kind, "Microsoft.AspNet.FriendlyUrls")
}

// defaults are values that attributes have anyway, by element and name; "*": any value.
var defaults = map[string][]string{
	"directoryBrowse/@showFlags":                         {"Date, Time, Size, Extension", "Date,Time,Size,Extension"},
	"serverRuntime/@enabled":                             {"true"},
	"caching/@enabled":                                   {"true", "*"},
	"caching/@enableKernelCache":                         {"true", "*"},
	"proxy/@enabled":                                     {"*"},
	"site/limits/@maxBandwidth":                          {"4294967295"},
	"site/limits/@connectionTimeout":                     {"00:02:00"},
	"site/limits/@maxConnections":                        {"4294967295"},
	"siteDefaults/limits/@maxBandwidth":                  {"4294967295"},
	"siteDefaults/limits/@connectionTimeout":             {"00:02:00"},
	"siteDefaults/limits/@maxConnections":                {"4294967295"},
	"virtualDirectory/@userName":                         {""},
	"virtualDirectory/@password":                         {""},
	"application/@enabledProtocols":                      {"http"},
	"applicationDefaults/@enabledProtocols":              {"http"},
	"modules/@runAllManagedModulesForAllRequests":        {"*"},
	"handlers/@accessPolicy":                             {"*"},
	"httpErrors/@detailedMoreInformationLink":            {"*"},
	"httpErrors/@allowAbsolutePathsWhenDelegated":        {"*"},
	"staticContent/@isDocFooterFileName":                 {"*"},
	"staticContent/@enableDocFooter":                     {"false"},
	"ipSecurity/@enableReverseDns":                       {"false"},
	"session/@mode":                                      {"InProc"},
	"sessionState/@mode":                                 {"InProc"},
	"webSocket/@enabled":                                 {"*"},
	"clientCertificateMappingAuthentication/@enabled":    {"false"},
	"iisClientCertificateMappingAuthentication/@enabled": {"false"},
	"dynamicIpSecurity/@denyAction":                      {"*"},
	"denyByConcurrentRequests/@enabled":                  {"false"},
	"denyByRequestRate/@enabled":                         {"false"},
	"denyByConcurrentRequests/@maxConcurrentRequests":    {"*"},
	"denyByRequestRate/@maxRequests":                     {"*"},
	"denyByRequestRate/@requestIntervalInMilliseconds":   {"*"},
	"webFarm/@enabled":                                   {"true"},
	"validation/@validateIntegratedModeConfiguration":    {"*"},
	"anonymousAuthentication/@defaultLogonDomain":        {"*"},
}

// isDefault tells whether an attribute that nobody has read says nothing: it locks, or has the value it has anyway.
func isDefault(n *node, a attr) bool {
	switch {
	case a.name == "xmlns", strings.HasPrefix(a.name, "xmlns:"), strings.HasPrefix(a.name, "lock"), strings.HasPrefix(a.name, "override"), a.name == "inheritInChildApplications":
		return true
	}
	where := n.where() + "/@" + a.name
	for key, values := range defaults {
		if (where == key || strings.HasSuffix(where, "/"+key)) && (slices.Contains(values, "*") || has(values, a.value)) {
			return true
		}
	}
	return false
}

// allDefault tells whether an element and all in it say nothing.
func allDefault(n *node) bool {
	for _, a := range n.attrs {
		if !isDefault(n, a) {
			return false
		}
	}
	for _, k := range n.kids {
		if !isMachinery(k) && !allDefault(k) {
			return false
		}
	}
	return true
}

// reasons say, by the beginning of the way to an element, why it is not in a site file.
var reasons = []struct{ where, why string }{
	{"system.web", "a setting of ASP.NET: the application's own; ASP.NET itself runs on Windows only, so keep it there and pass requests on with reverse_proxy"},
	{"system.applicationHost/applicationPools", "nothing starts or limits an application here: its service does"},
	{"system.applicationHost/sites/site/limits", "there is no counterpart for a site"},
	{"system.applicationHost/sites/site/application/virtualDirectory", "files are read as the user that tandem runs as"},
	{"system.webServer/security/dynamicIpSecurity", "there is no limit of requests by address: put it into the firewall"},
	{"system.webServer/modules", "a module that runs in IIS only"},
	{"system.webServer/rewrite/providers", "a provider is a program that runs in IIS only: write the rules that use it as map"},
	{"system.webServer/rewrite/outboundRules", "bodies of answers are not rewritten"},
	{"system.webServer/caching", "answers of applications are not cached"},
	{"system.webServer/applicationInitialization", "the application's service warms it up"},
	{"system.webServer/httpCompression", "encode compresses the usual types by itself; see its options"},
	{"system.webServer/directoryBrowse", "a listing shows names, sizes and times"},
	{"system.webServer/cors", "write the headers with header, for the origins that may"},
	{"location", "it belongs to no site that was imported"},
	{"webFarms", "the edge of the farm balances; for other servers write reverse_proxy with health_uri and lb_policy"},
}

func reasonFor(where string) string {
	if strings.Contains(where, "/@xdt:") {
		return "a transform, which a deployment applies: import the file that it makes"
	}
	for _, r := range reasons {
		if where == r.where || strings.HasPrefix(where, r.where+"/") {
			return r.why
		}
	}
	return "it has no counterpart in a site file"
}
