// For `azd up` and for whoever prefers Bicep: a resource group, and azuredeploy.json (the source) within it.
// To change another of its parameters, name it in the module below. Parsed by a test, not compiled by one.
targetScope = 'subscription'

@description('The name of the azd environment; the resource group is named after it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('The region of everything; Flex Consumption must be offered there.')
param location string

@description('The cloud of your Defender tenant: chooses the API\'s host and the token\'s audience.')
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

@description('The Python the app runs on.')
@allowed([
  '3.13'
  '3.12'
])
param pythonVersion string = '3.13'

@description('Whether the event of a payload without a reference is searched. A trial raises nothing.')
@allowed([
  'false'
  'trial'
  'true'
])
param findEvents string = 'false'

@description('The least certain match that is taken.')
@allowed([
  'probable'
  'exact'
])
param findEventsGrade string = 'probable'

@description('What happens to an alert without an event. entity: an alert on the entities that it names (beta).')
@allowed([
  'fail'
  'entity'
])
param noEvent string = 'fail'

@description('privateStorage: a network in which the app alone reaches its storage. private: the app is in it as well.')
@allowed([
  'public'
  'privateStorage'
  'private'
])
param network string = 'public'

@description('SENDERS: JSON that names senders by the fingerprints of their keys.')
param senders string = ''

@description('The settings that SENDERS names as secrets: NAME=secret, separated by blanks.')
@secure()
param senderSecrets string = ''

@description('Who gets an email when an alert rule fires. Empty: the rules show in the portal only.')
param alertEmail string = ''

var tags = {
  'azd-env-name': environmentName
}

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module webhook 'azuredeploy.json' = {
  name: 'defender-alert-webhook'
  scope: group
  params: {
    location: location
    tags: tags
    defenderCloud: defenderCloud
    pythonVersion: pythonVersion
    findEvents: findEvents
    findEventsGrade: findEventsGrade
    noEvent: noEvent
    network: network
    senders: senders
    senderSecrets: senderSecrets
    alertEmail: alertEmail
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
