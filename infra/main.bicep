// For `azd up` and for whoever prefers Bicep: a resource group, and azuredeploy.json (the source) within it.
// main.parameters.json gives each parameter from a variable of the azd environment: retentionDays is
// WEBHOOK_RETENTION_DAYS. An empty one leaves the template's default. Parsed by a test, not compiled by one.
targetScope = 'subscription'

@description('The name of the azd environment; the resource group is named after it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('The region of everything; Flex Consumption must be offered there.')
param location string

// The parameters of azuredeploy.json, which says what each of them means: the same names, order and defaults.
// An empty appName leaves the name to the template; tags are a JSON object as a text.
param appName string = ''
param tags string = ''

@allowed([
  '3.13'
  '3.12'
])
param pythonVersion string = '3.13'

@secure()
param packageUri string = ''

param remoteBuild bool = false

@allowed([
  512
  2048
  4096
])
param instanceMemoryMB int = 2048

param maximumInstanceCount int = 5
param alwaysReadyInstances int = 0
param httpConcurrency int = 16
param workerThreads int = 32

@allowed([
  'Commercial'
  'Commercial, nearest: United States'
  'Commercial, nearest: Europe'
  'Commercial, nearest: United Kingdom'
  'Commercial, nearest: Australia'
  'Commercial, nearest: Switzerland'
  'Commercial, nearest: India'
  'Commercial, nearest: United Arab Emirates'
  'US Government GCC'
  'US Government GCC High'
  'US Government DoD'
])
param defenderCloud string = 'Commercial'

param defenderApiUrl string = ''
param defenderTokenScope string = ''
param defenderTenantId string = ''
param defenderTimeoutSeconds int = 30

@allowed([
  'false'
  'trial'
  'true'
])
param findEvents string = 'false'

@allowed([
  'probable'
  'exact'
])
param findEventsGrade string = 'probable'

param findEventsCalls int = 15
param findEventsWindowSeconds string = '60'
param findEventsRetryMinutes string = '1,3,10'
param findEventsTimeoutSeconds int = 60

@allowed([
  'fail'
  'entity'
])
param noEvent string = 'fail'

param entityAlertCalls int = 15
param entityAlertWindowSeconds string = '60'
param rateLimitCalls int = 15
param rateLimitWindowSeconds string = '60'
param rateLimitMarginSeconds string = '0.25'
param rateLimitScope string = 'default'
param alertsTable string = 'DefenderAlerts'
param inlineSeconds string = '8'
param notFoundRetryMinutes string = '1,5,15'
param giveUpHours string = '48'
param retentionDays string = '30'
param maxPayloadBytes int = 1048576
param maxAlertsPerDelivery int = 100
param mappingsPath string = ''
param publicBaseUrl string = ''
param senders string = ''

@secure()
param senderSecrets string = ''

@allowed([
  'true'
  'false'
])
param console string = 'true'

param allowedAddresses string = ''
param storageLog bool = false

@allowed([
  'public'
  'privateStorage'
  'private'
])
param network string = 'public'

param networkAddresses string = '10.87.0.0/24'

@allowed([
  'Standard_LRS'
  'Standard_ZRS'
  'Standard_GRS'
  'Standard_GZRS'
])
param storageRedundancy string = 'Standard_LRS'

param logRetentionDays int = 30
param alertEmail string = ''
param oldestWaitingMinutes int = 30
param healthTest bool = true

var allTags = union(empty(tags) ? {} : json(tags), {
  'azd-env-name': environmentName
})

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: allTags
}

module webhook 'azuredeploy.json' = {
  name: 'defender-alert-webhook'
  scope: group
  params: {
    location: location
    appName: empty(appName) ? null : appName
    tags: allTags
    pythonVersion: pythonVersion
    packageUri: packageUri
    remoteBuild: remoteBuild
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyInstances: alwaysReadyInstances
    httpConcurrency: httpConcurrency
    workerThreads: workerThreads
    defenderCloud: defenderCloud
    defenderApiUrl: defenderApiUrl
    defenderTokenScope: defenderTokenScope
    defenderTenantId: defenderTenantId
    defenderTimeoutSeconds: defenderTimeoutSeconds
    findEvents: findEvents
    findEventsGrade: findEventsGrade
    findEventsCalls: findEventsCalls
    findEventsWindowSeconds: findEventsWindowSeconds
    findEventsRetryMinutes: findEventsRetryMinutes
    findEventsTimeoutSeconds: findEventsTimeoutSeconds
    noEvent: noEvent
    entityAlertCalls: entityAlertCalls
    entityAlertWindowSeconds: entityAlertWindowSeconds
    rateLimitCalls: rateLimitCalls
    rateLimitWindowSeconds: rateLimitWindowSeconds
    rateLimitMarginSeconds: rateLimitMarginSeconds
    rateLimitScope: rateLimitScope
    alertsTable: alertsTable
    inlineSeconds: inlineSeconds
    notFoundRetryMinutes: notFoundRetryMinutes
    giveUpHours: giveUpHours
    retentionDays: retentionDays
    maxPayloadBytes: maxPayloadBytes
    maxAlertsPerDelivery: maxAlertsPerDelivery
    mappingsPath: mappingsPath
    publicBaseUrl: publicBaseUrl
    senders: senders
    senderSecrets: senderSecrets
    console: console
    allowedAddresses: allowedAddresses
    storageLog: storageLog
    network: network
    networkAddresses: networkAddresses
    storageRedundancy: storageRedundancy
    logRetentionDays: logRetentionDays
    alertEmail: alertEmail
    oldestWaitingMinutes: oldestWaitingMinutes
    healthTest: healthTest
  }
}

output AZURE_RESOURCE_GROUP string = group.name
output APP_NAME string = webhook.outputs.appName
output WEBHOOK_URL string = webhook.outputs.webhookUrl
output IDENTITY_CLIENT_ID string = webhook.outputs.identityClientId
output IDENTITY_PRINCIPAL_ID string = webhook.outputs.identityPrincipalId
output GRAPH_ENVIRONMENT string = webhook.outputs.graphEnvironment
output FIND_EVENTS string = findEvents
output NO_EVENT string = noEvent
