// For `azd up` and for whoever prefers Bicep: a resource group, and azuredeploy.json (the source) within it.
targetScope = 'subscription'

@description('The name of the azd environment; the resource group is named after it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('The region of everything; Flex Consumption must be offered there.')
param location string

@description('The cloud of your Defender tenant, as azuredeploy.json lists them.')
param defenderCloud string = 'Commercial'

@description('The Python the app runs on: 3.13 or 3.12.')
param pythonVersion string = '3.13'

@description('Who is told when an alert rule fires. Empty: the rules show in the portal only.')
param alertEmail string = ''

var tags = {
  'azd-env-name': environmentName
}

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
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
    alertEmail: alertEmail
  }
}

output AZURE_RESOURCE_GROUP string = group.name
output APP_NAME string = webhook.outputs.appName
output WEBHOOK_URL string = webhook.outputs.webhookUrl
output IDENTITY_CLIENT_ID string = webhook.outputs.identityClientId
output IDENTITY_PRINCIPAL_ID string = webhook.outputs.identityPrincipalId
